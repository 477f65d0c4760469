// SPDX-License-Identifier: Apache-2.0
#pragma once

// Commands to charon, one at a time (README.md).
//
// A Session belongs to one thread. Calls block, and no longer than the time limit: charon answers
// from memory within milliseconds, like the kernel does, and the rounds that need it are steps one
// after another, so there is nothing that a loop could do in between. What takes long in charon
// (setting up an SA) is begun by a command and told by Events. A charon that stands still costs the
// whole limit: who has more than it to look after, asks from a thread of its own.
//
// Errors. Unsupported: charon has no such command or event; the connection stays. Invalid: the
// request can not be written. Denied: somebody else's socket. Malformed: charon said what can not
// be. Unavailable: not there, ended, too slow (kTimedOut), or not tried again yet (kBackingOff).
// After each of the last three the connection is closed, nothing of what came is used, and the next
// command connects anew, not before a wait that grows to kMostWait.

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "vici/frame.h"
#include "vici/message.h"
#include "vici/socket.h"

namespace cvlan::vici {

// Error::reason.
inline constexpr const char* kTimedOut = "CHARON_TIMED_OUT";
inline constexpr const char* kBackingOff = "CHARON_BACKING_OFF";

struct SessionOptions {
    SocketAt at{};
    std::chrono::milliseconds time_limit{5000};  // of a command with all that it streams
    uint32_t seed = 1;                           // of the wait's jitter
};

class Session {
public:
    // Repair of what somebody changed is promised within 5 s: charon is looked for that often.
    static constexpr std::chrono::milliseconds kMostWait{4000};
    static constexpr size_t kMostStreamed = 64 * 1024 * 1024;

    // `clock` must outlive it.
    Session(const Clock& clock, SessionOptions options);

    Result<Message> command(std::string_view name, const Message& arguments = {});

    // A command whose answer comes as events, each given to `each` as it comes; what it got is good
    // only if the whole is. An error of `each` ends it, and is returned.
    using Each = std::function<Result<void>(const Message&)>;
    struct Streamed {
        std::string_view command{};
        std::string_view event{};
    };
    Result<Message> streamed(const Streamed& what, const Message& arguments, const Each& each);

    // How often it has connected. Another number than before: charon may be another, and know
    // nothing of what it was told.
    uint64_t connections() const { return connections_; }
    bool is_connected() const { return static_cast<bool>(fd_); }

private:
    using Deadline = std::chrono::steady_clock::time_point;

    enum class Unasked { Nothing, Spoke, HungUp };  // what charon did between two requests

    Result<void> ready();
    Unasked look();
    Result<Packet> exchange(PacketType type, std::string_view name, const Message& message);
    Result<void> exchange_event(PacketType type, std::string_view event);
    Result<Message> stream(const Streamed& what, const Message& arguments, const Each& each);
    Result<void> send(ByteView bytes);
    Result<Packet> receive();
    Result<void> wait_for(short events);
    Result<Message> ended(Result<Message> answer);

    const Clock& clock_;
    SessionOptions options_;
    UniqueFd fd_;
    FrameReader reader_;
    Bytes buffer_;
    Deadline deadline_{};
    size_t streamed_ = 0;
    Backoff backoff_;
    BootTime not_before_{0};
    std::string why_not_;
    uint64_t connections_ = 0;
};

}  // namespace cvlan::vici
