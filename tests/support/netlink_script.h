// SPDX-License-Identifier: Apache-2.0
#pragma once

// A kernel of paper for tests of netlink sockets: what was sent is kept, and answers come from a
// script, each a function of the request's sequence.

#include <cerrno>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "netlink/socket.h"

namespace cvlan::tests {

constexpr uint32_t kPort = 4711;

// A netlink message as the kernel would send it.
inline Bytes kernel_message(uint16_t type, uint16_t flags, uint32_t sequence, ByteView payload,
                            uint32_t port = kPort) {
    nlmsghdr head{static_cast<uint32_t>(NLMSG_HDRLEN + payload.size()), type, flags, sequence,
                  port};
    Bytes bytes(NLMSG_ALIGN(head.nlmsg_len));
    std::memcpy(bytes.data(), &head, sizeof head);
    if (!payload.empty()) std::memcpy(bytes.data() + NLMSG_HDRLEN, payload.data(), payload.size());
    return bytes;
}

inline Bytes ack(uint32_t sequence, int sys_errno = 0, uint32_t port = kPort) {
    nlmsgerr error{};
    error.error = -sys_errno;
    return kernel_message(NLMSG_ERROR, NLM_F_CAPPED, sequence,
                          {reinterpret_cast<const uint8_t*>(&error), sizeof error}, port);
}

// The end of a dump.
inline Bytes done(uint32_t sequence, uint16_t flags = 0, int sys_errno = 0) {
    const int32_t error = -sys_errno;
    return kernel_message(NLMSG_DONE, static_cast<uint16_t>(NLM_F_MULTI | flags), sequence,
                          {reinterpret_cast<const uint8_t*>(&error), sizeof error});
}

inline Bytes joined(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

class Script final : public netlink::Transport {
public:
    struct Answer {
        Bytes bytes;
        uint32_t sender = 0;
    };
    // Called at each send with the request and its sequence; what it returns is queued.
    using Respond = std::function<std::vector<Answer>(ByteView request, uint32_t sequence)>;

    explicit Script(Respond respond) : respond_(std::move(respond)) {}

    Result<void> send(ByteView messages) override {
        nlmsghdr head;
        std::memcpy(&head, messages.data(), sizeof head);
        for (Answer& answer : respond_(messages, head.nlmsg_seq))
            queue_.push_back(std::move(answer));
        return {};
    }

    Result<Datagram> receive(std::span<uint8_t> buffer, std::chrono::milliseconds) override {
        if (queue_.empty()) return failed(errno_error("no answer", ETIMEDOUT));
        const Answer answer = std::move(queue_.front());
        queue_.pop_front();
        const size_t size = std::min(buffer.size(), answer.bytes.size());
        if (size > 0) std::memcpy(buffer.data(), answer.bytes.data(), size);
        return Datagram{answer.bytes.size(), answer.sender};
    }

    uint32_t port() const override { return kPort; }

private:
    Respond respond_;
    std::deque<Answer> queue_;
};

inline netlink::Socket scripted(Script::Respond respond) {
    return netlink::Socket(std::make_unique<Script>(std::move(respond)));
}

}  // namespace cvlan::tests
