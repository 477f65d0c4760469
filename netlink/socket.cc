// SPDX-License-Identifier: Apache-2.0
#include "netlink/socket.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "netlink/transport.h"

namespace cvlan::netlink {

namespace {

// The kernel fills dump messages up to the size of the buffer it sees, and to 32 KiB at most
// (net/netlink/af_netlink.c: netlink_recvmsg). The rest is room for a single large message.
constexpr size_t kBufferSize = 64 * 1024;
// Acks that wait in the kernel are charged to the receive buffer: some 250 fit its default.
constexpr size_t kWindow = 64;
constexpr int kMaxRestarts = 8;

Error errno_alone(int sys_errno) {
    Error error = errno_error("", sys_errno);
    error.message = std::generic_category().message(sys_errno);
    return error;
}

}  // namespace

struct Socket::Pending {
    uint32_t sequence = 0;
    uint32_t followers = 0;  // messages behind it that share its answer
    uint32_t answered = 0;   // the sequence that the answer came to
    bool is_done = false;
    bool is_interrupted = false;  // NLM_F_DUMP_INTR
    std::optional<int> fail_after;
    Result<void> result;

    void finish(Result<void> with) {
        is_done = true;
        if (result) result = std::move(with);  // the first failure stays
        if (fail_after) result = failed(errno_alone(*fail_after));
    }
};

Result<Socket> Socket::open(int protocol, const NetnsFd& netns) {
    auto transport = open_transport(protocol, netns);
    if (!transport) return failed(transport.error());
    return Socket(std::move(*transport));
}

Result<Socket> Socket::open(int protocol) {
    const auto here = NetnsFd::current();
    if (!here) return failed(here.error());
    return open(protocol, *here);
}

Socket::Socket(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {
    buffer_.resize(kBufferSize);
}

Result<void> Socket::request(Message& message) {
    Pending pending;
    message.add_flags(NLM_F_ACK);
    send(message, false, pending);
    collect({&pending, 1}, nullptr);
    return pending.result;
}

Result<void> Socket::request(Message& message, const OnReply& answer) {
    Pending pending;
    message.add_flags(NLM_F_ACK);
    send(message, true, pending);
    collect({&pending, 1}, &answer);
    // The ack came, but what was asked for did not: the buffer is large enough next time.
    if (pending.result && pending.is_interrupted)
        return fail(Code::Unavailable, "the answer was cut off");
    return pending.result;
}

std::vector<Result<void>> Socket::request_all(std::span<Message> messages) {
    std::vector<Result<void>> results;
    results.reserve(messages.size());
    while (!messages.empty()) {
        std::vector<Pending> pending(std::min(kWindow, messages.size()));
        for (size_t i = 0; i < pending.size(); ++i) {
            messages[i].add_flags(NLM_F_ACK);
            send(messages[i], false, pending[i]);
        }
        collect(pending, nullptr);
        for (Pending& each : pending) results.push_back(std::move(each.result));
        messages = messages.subspan(pending.size());
    }
    return results;
}

// Only the message before the end mark asks for an ack. It comes after the errors of those before,
// and the first of what comes is the answer to all: an error, if there is one.
Result<void> Socket::request_batch(std::span<Message> messages, size_t& failing) {
    failing = 0;
    Pending pending;
    pending.sequence = sequence_ + 1;
    pending.followers = static_cast<uint32_t>(messages.size() - 1);
    messages[messages.size() - 2].add_flags(NLM_F_ACK);
    Bytes datagram;
    for (Message& message : messages) {
        if (message.error()) return failed(*message.error());
        const ByteView bytes = message.seal(++sequence_, transport_->port());
        datagram.insert(datagram.end(), bytes.begin(), bytes.end());
    }
    if (!count(false, pending)) return pending.result;
    auto sent = transport_->send(datagram);
    if (!sent) return sent;
    collect({&pending, 1}, nullptr);
    if (!pending.result && pending.answered != 0) failing = pending.answered - pending.sequence;
    return pending.result;
}

Result<void> Socket::dump(Message& message, const std::function<void()>& start,
                          const OnReply& each) {
    message.add_flags(NLM_F_DUMP);
    for (int attempt = 0; attempt <= kMaxRestarts; ++attempt) {
        start();
        Pending pending;
        send(message, true, pending);
        collect({&pending, 1}, &each);
        if (!pending.is_interrupted) return pending.result;
    }
    return fail(Code::Unavailable, "dump: changed under way {} times", kMaxRestarts + 1);
}

// False where the request is to fail unseen by the kernel.
bool Socket::count(bool is_read, Pending& pending) {
    if (tally_ == nullptr) return true;
    (is_read ? tally_->reads : tally_->writes) += 1;
    if (tally_->fail_nth == 0 || --tally_->fail_nth > 0) return true;
    pending.fail_after = tally_->fail_errno;
    if (tally_->fail_after) return true;
    pending.finish({});
    return false;
}

// Numbers and sends one message; what goes wrong ends up in `pending`.
void Socket::send(Message& message, bool is_read, Pending& pending) {
    pending.sequence = ++sequence_;
    if (message.error()) return pending.finish(failed(*message.error()));
    if (!count(is_read, pending)) return;
    auto sent = transport_->send(message.seal(pending.sequence, transport_->port()));
    if (!sent) pending.finish(std::move(sent));
}

// Receives until every request has its answer or the time is up.
void Socket::collect(std::span<Pending> pending, const OnReply* each) {
    const auto deadline = std::chrono::steady_clock::now() + limit_;
    const auto waits = [](const Pending& one) { return !one.is_done; };
    bool was_cut = false;
    while (std::any_of(pending.begin(), pending.end(), waits)) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        // What was cut off may have been the end: then the rest is there already, or never comes.
        const auto limit = was_cut ? std::chrono::milliseconds(0) : left;
        Result<void> received = left.count() < 0 ? failed(errno_alone(ETIMEDOUT)) : Result<void>();
        if (received) received = receive(limit, pending, each, was_cut);
        if (received) continue;
        for (Pending& one : pending)
            if (!one.is_done) one.finish(received);
    }
    OPENSSL_cleanse(buffer_.data(), used_);
    used_ = 0;
}

// Takes one datagram. One larger than the buffer makes the buffer grow and spoils the answer: a
// dump begins anew (is_interrupted), a plain request fails.
Result<void> Socket::receive(std::chrono::milliseconds limit, std::span<Pending> pending,
                             const OnReply* each, bool& was_cut) {
    auto got = transport_->receive(buffer_, limit);
    if (!got) return failed(got.error());
    used_ = std::max(used_, std::min(got->size, buffer_.size()));
    if (got->sender != 0) {  // any process may send to our port
        ++dropped_;
        return {};
    }
    if (got->size > buffer_.size()) {
        buffer_.resize(got->size);
        used_ = buffer_.size();
        was_cut = true;
        for (Pending& one : pending) one.is_interrupted = true;
        return {};
    }
    return walk(ByteView(buffer_).first(got->size), pending, each);
}

Result<void> Socket::walk(ByteView rest, std::span<Pending> pending, const OnReply* each) {
    while (!rest.empty()) {
        nlmsghdr head;
        if (rest.size() < sizeof head) return fail(Code::Malformed, "answer with trailing bytes");
        std::memcpy(&head, rest.data(), sizeof head);
        if (head.nlmsg_len < sizeof head || head.nlmsg_len > rest.size())
            return fail(Code::Malformed, "answer of bad length {}", head.nlmsg_len);
        const Reply reply{head.nlmsg_type, head.nlmsg_flags,
                          rest.subspan(sizeof head, head.nlmsg_len - sizeof head)};
        // They are consecutive; one that has followers is alone.
        const uint32_t index = head.nlmsg_seq - pending.front().sequence;
        const bool is_ours = head.nlmsg_pid == transport_->port();
        if (is_ours && index < pending.size() + pending.front().followers) {
            Pending& one = pending[std::min<size_t>(index, pending.size() - 1)];
            if (!one.is_done) one.answered = head.nlmsg_seq;
            take(reply, one, each);
        } else {
            ++dropped_;  // a late answer to a request that was given up, or a forgery
        }
        rest = rest.subspan(std::min<size_t>(NLMSG_ALIGN(head.nlmsg_len), rest.size()));
    }
    return {};
}

void Socket::take(const Reply& reply, Pending& pending, const OnReply* each) {
    if (pending.is_done) return;
    if ((reply.flags & NLM_F_DUMP_INTR) != 0) pending.is_interrupted = true;
    if (reply.type == NLMSG_NOOP) return;
    if (reply.type == NLMSG_ERROR || reply.type == NLMSG_DONE) {
        // A dump ends without words: NLMSG_DONE's payload is an errno, or nothing before 2.6.
        const bool is_bare = reply.type == NLMSG_DONE && reply.payload.empty();
        auto error = is_bare ? std::nullopt : ack_error(reply);
        pending.finish(error ? Result<void>(failed(std::move(*error))) : Result<void>());
        return;
    }
    if (reply.type == NLMSG_OVERRUN) {
        pending.result = fail(Code::Unavailable, "the kernel lost part of its answer");
        return;
    }
    // After a failure the rest is drained unread, so that the next request finds an empty socket.
    if (each == nullptr || !pending.result || pending.is_interrupted) return;
    pending.result = (*each)(reply);
}

}  // namespace cvlan::netlink
