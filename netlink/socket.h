// SPDX-License-Identifier: Apache-2.0
#pragma once

// Requests to the kernel over one netlink socket, one at a time or many in flight.
//
// A Socket belongs to one thread and for life to the network namespace it was opened in. Calls
// block until the kernel has answered, which it does within the send; the time limit is for a
// kernel in trouble (Code::Unavailable). An answer counts only if it comes from the kernel, to our
// port and with the sequence of the request: others are dropped and counted. Errors carry errno,
// its Code (base/error.h) and the kernel's own words where it sent some (NLMSGERR_ATTR_MSG).

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "netlink/message.h"
#include "netlink/netns.h"

namespace cvlan::netlink {

// One message of an answer; valid only during the call it is given to.
struct Reply {
    uint16_t type = 0;
    uint16_t flags = 0;
    ByteView payload;  // after the netlink header
};
using OnReply = std::function<Result<void>(const Reply&)>;

// What travels below a Socket: the kernel, or a script of answers in tests.
class Transport {
public:
    virtual ~Transport() = default;
    virtual Result<void> send(ByteView messages) = 0;
    // Waits up to `limit` for one datagram. `size` is its true size, which may exceed the buffer.
    struct Datagram {
        size_t size = 0;
        uint32_t sender = 0;  // 0 is the kernel
    };
    virtual Result<Datagram> receive(std::span<uint8_t> buffer,
                                     std::chrono::milliseconds limit) = 0;
    virtual uint32_t port() const = 0;
};

// What went over the sockets that share it, and a fault to inject: the `fail_nth` request from now
// (1 is the next one) fails with `fail_errno`, unseen by the kernel or, with `fail_after`, after
// the kernel has carried it out. For tests and benches.
struct Tally {
    uint64_t reads = 0;   // GET and dump requests
    uint64_t writes = 0;  // all others
    uint64_t fail_nth = 0;
    int fail_errno = 0;
    bool fail_after = false;
};

class Socket {
public:
    // `protocol` is NETLINK_ROUTE, NETLINK_GENERIC, …
    static Result<Socket> open(int protocol, const NetnsFd& netns);
    static Result<Socket> open(int protocol);  // in the calling thread's namespace
    explicit Socket(std::unique_ptr<Transport> transport);

    // Sends one request and waits for its ack.
    Result<void> request(Message& message);
    // The same for a request that is answered by one message (NLM_F_ECHO or a plain GET).
    // Unavailable when the answer was larger than the buffer, which has grown since.
    Result<void> request(Message& message, const OnReply& answer);
    // Sends all, collecting acks while sending: the results stand in the order of the messages.
    // A failure does not stop those behind it.
    std::vector<Result<void>> request_all(std::span<Message> messages);
    // Sends all in one datagram, as nfnetlink wants its batches: from the begin mark to the end
    // mark, which neither is acked; the kernel carries out all of them or none. On failure
    // `failing` is the index of the first message that it refused, 0 where it was none in
    // particular.
    Result<void> request_batch(std::span<Message> messages, size_t& failing);

    // Sends a dump and hands each message to `each`. `start` is called before the first and again
    // whenever the dump has to begin anew (it changed under way, or a message was larger than the
    // buffer), so that it can forget what it has. An error of `each` ends the dump.
    Result<void> dump(Message& message, const std::function<void()>& start, const OnReply& each);

    void set_time_limit(std::chrono::milliseconds limit) { limit_ = limit; }
    // `tally` must outlive the socket; nullptr takes it away.
    void set_tally(Tally* tally) { tally_ = tally; }
    // Messages which were no answer to us: foreign sender, port or sequence.
    uint64_t dropped() const { return dropped_; }

private:
    struct Pending;

    bool count(bool is_read, Pending& pending);
    void send(Message& message, bool is_read, Pending& pending);
    void collect(std::span<Pending> pending, const OnReply* each);
    Result<void> receive(std::chrono::milliseconds limit, std::span<Pending> pending,
                         const OnReply* each, bool& was_cut);
    Result<void> walk(ByteView datagram, std::span<Pending> pending, const OnReply* each);
    void take(const Reply& reply, Pending& pending, const OnReply* each);

    std::unique_ptr<Transport> transport_;
    WipedBytes buffer_;
    size_t used_ = 0;  // how much of the buffer answers have filled since it was wiped
    uint32_t sequence_ = 0;
    uint64_t dropped_ = 0;
    std::chrono::milliseconds limit_{5000};
    Tally* tally_ = nullptr;
};

// The error which an NLMSG_ERROR or NLMSG_DONE carries, its extended ack appended; nothing when it
// says success. A payload too short for an errno is Code::Malformed.
std::optional<Error> ack_error(const Reply& reply);

}  // namespace cvlan::netlink
