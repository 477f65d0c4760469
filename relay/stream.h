// SPDX-License-Identifier: Apache-2.0
#pragma once

// TLS on a socket that does not block, behind the handshake, at the cost that a relay can bear: one
// recv() and one send() for all the records that lie together, and no buffer of its own while it is
// idle. The streams of a loop share a Wire, which they use within one call; what the kernel did not
// take alone is kept with its stream.
//
// It has no event: its owner calls read() when the socket is readable, and go_on() when it is
// writable after is_blocked().

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "http/tls_context.h"
#include "http/upgrade.h"

namespace cvlan::relay {

inline constexpr size_t kMostRecord = 16 * 1024;  // RFC 8446 section 5.1: of plain text
// What one stream may bring in a turn of the loop, so that none keeps the others waiting.
inline constexpr size_t kTurn = 64 * 1024;

// What is on its way through OpenSSL, in this turn of this loop.
struct Wire {
    std::array<uint8_t, kTurn> received{};
    ByteView unread{};  // of what was received
    std::array<uint8_t, kMostRecord> plain{};
    Bytes sealed{};  // records that go
};

enum class StreamState : uint8_t { Open, Ended, Failed };

class Stream {
public:
    Stream(Wire& wire, http::Upgraded upgraded);
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // What has come, in pieces of at most a record, which `take` may change in place; it returns
    // false to end the reading. A stream that has ended or failed stays so.
    template <class Take>
    StreamState read(Take take) {
        if (state_ == StreamState::Open) receive();
        while (state_ == StreamState::Open) {
            const std::span<uint8_t> piece = open_record();
            if (piece.empty()) break;
            if (!take(piece)) {
                state_ = StreamState::Failed;
                break;
            }
        }
        finish_reading();
        return state_;
    }

    // Encrypts; flush() sends. Not while is_blocked().
    void write(ByteView plain);
    // True: all is with the kernel.
    bool flush();
    // The socket is writable again. True: all is with the kernel.
    bool go_on();
    bool is_blocked() const { return !unsent_.empty(); }
    StreamState state() const { return state_; }
    // close_notify, as far as it goes without waiting.
    void say_goodbye();

    // OpenSSL's buffers, which else are there only while a record passes.
    void keep_buffers(bool on);

    int fd() const { return fd_.get(); }
    SSL* ssl() const { return ssl_.get(); }

private:
    void receive();
    std::span<uint8_t> open_record();
    void finish_reading();
    void fail() { state_ = StreamState::Failed; }

    Wire& wire_;
    UniqueFd fd_;
    http::SslPtr ssl_;
    Bytes ahead_;   // what HTTP had read already
    Bytes unsent_;  // records that the kernel did not take
    StreamState state_ = StreamState::Open;
};

}  // namespace cvlan::relay
