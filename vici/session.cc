// SPDX-License-Identifier: Apache-2.0
#include "vici/session.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace cvlan::vici {

namespace {

constexpr size_t kReadSize = 64 * 1024;

// A request that could not be written, or one that charon does not know, leaves the stream whole.
bool is_harmless(const Error& error) {
    return error.code == Code::Unsupported || error.code == Code::Invalid;
}

tl::unexpected<Error> not_expected(const Packet& packet) {
    return fail(Code::Malformed, "charon sent a packet of type {}{}{} where none was due",
                static_cast<int>(packet.type), packet.name.empty() ? "" : " ",
                printable(packet.name));
}

}  // namespace

Session::Session(const Clock& clock, SessionOptions options)
    : clock_(clock), options_(std::move(options)), buffer_(kReadSize), backoff_(options_.seed) {}

Result<Message> Session::command(std::string_view name, const Message& arguments) {
    if (auto connected = ready(); !connected) return failed(connected.error());
    auto answer = exchange(PacketType::CommandRequest, name, arguments);
    if (!answer) return ended(failed(answer.error().while_doing(name)));
    if (answer->type == PacketType::CommandUnknown)
        return ended(fail(Code::Unsupported, "charon has no command {}", name));
    if (answer->type != PacketType::CommandResponse) return ended(not_expected(*answer));
    return ended(Message::parse(answer->message));
}

Result<Message> Session::streamed(const Streamed& what, const Message& arguments,
                                  const Each& each) {
    if (auto connected = ready(); !connected) return failed(connected.error());
    if (auto wanted = exchange_event(PacketType::EventRegister, what.event); !wanted)
        return ended(failed(wanted.error()));
    auto answer = stream(what, arguments, each);
    if (!answer && answer.error().code != Code::Unsupported) {
        // Whatever it was, events may be under way: the stream is of no use any more.
        fd_.reset();
        return ended(std::move(answer));
    }
    if (auto left = exchange_event(PacketType::EventUnregister, what.event); !left)
        return ended(failed(left.error()));
    return ended(std::move(answer));
}

Result<Message> Session::stream(const Streamed& what, const Message& arguments, const Each& each) {
    streamed_ = 0;
    auto packet = exchange(PacketType::CommandRequest, what.command, arguments);
    while (packet && packet->type == PacketType::Event && packet->name == what.event) {
        streamed_ += packet->message.size();
        if (streamed_ > kMostStreamed)
            return fail(Code::Malformed, "{}: charon does not end", what.command);
        auto message = Message::parse(packet->message);
        if (!message) return failed(message.error().while_doing(what.command));
        if (auto taken = each(*message); !taken) return failed(taken.error());
        packet = receive();
    }
    if (!packet) return failed(packet.error().while_doing(what.command));
    if (packet->type == PacketType::CommandUnknown)
        return fail(Code::Unsupported, "charon has no command {}", what.command);
    if (packet->type != PacketType::CommandResponse) return not_expected(*packet);
    return Message::parse(packet->message);
}

Result<void> Session::exchange_event(PacketType type, std::string_view event) {
    auto answer = exchange(type, event, {});
    if (!answer) return failed(answer.error().while_doing(event));
    if (answer->type == PacketType::EventUnknown)
        return fail(Code::Unsupported, "charon has no event {}", event);
    if (answer->type != PacketType::EventConfirm) return not_expected(*answer);
    return {};
}

Result<Packet> Session::exchange(PacketType type, std::string_view name, const Message& message) {
    auto bytes = encode_packet(type, name, message);
    if (!bytes) return failed(bytes.error());
    if (auto sent = send(*bytes); !sent) return failed(sent.error());
    return receive();
}

// Connected, and the time of the command begins.
Result<void> Session::ready() {
    // charon was restarted while nobody asked: no fault of anybody.
    if (fd_ && look() == Unasked::HungUp) fd_.reset();
    if (!fd_) {
        const BootTime now = clock_.since_boot();
        if (now < not_before_) {
            return fail_as(kBackingOff, Code::Unavailable,
                           fmt::format("charon is tried again in {} ms: {}",
                                       (not_before_ - now).count(), why_not_));
        }
        auto connected = connect_to(options_.at);
        if (!connected) {
            (void)ended(failed(connected.error()));
            return failed(connected.error());
        }
        fd_ = std::move(*connected);
        reader_ = {};
        ++connections_;
    }
    deadline_ = std::chrono::steady_clock::now() + options_.time_limit;
    return {};
}

Session::Unasked Session::look() {
    uint8_t byte;
    const ssize_t got = recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0 || !reader_.is_between()) return Unasked::Spoke;
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? Unasked::Nothing : Unasked::HungUp;
}

Result<void> Session::send(ByteView bytes) {
    // An answer can not be there before its request.
    if (look() == Unasked::Spoke) return fail(Code::Malformed, "charon spoke without being asked");
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes = bytes.subspan(static_cast<size_t>(sent));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) {
            return fail(Code::Unavailable, "charon hung up: {}", errno_error("send").message);
        }
        if (auto writable = wait_for(POLLOUT); !writable) return writable;
    }
    return {};
}

Result<Packet> Session::receive() {
    for (;;) {
        ByteView frame;
        if (reader_.next(frame)) return parse_packet(frame);
        if (reader_.error() != nullptr) return fail(Code::Malformed, "{}", reader_.error());
        if (auto readable = wait_for(POLLIN); !readable) return failed(readable.error());
        const ssize_t got = recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
        if (got == 0) return fail(Code::Unavailable, "charon hung up");
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got < 0) return fail(Code::Unavailable, "{}", errno_error("charon").message);
        reader_.feed(ByteView(buffer_).first(static_cast<size_t>(got)));
    }
}

// The deadline counts also where there is something each time: a byte a second is no answer.
Result<void> Session::wait_for(short events) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline_ - std::chrono::steady_clock::now());
        pollfd ready{fd_.get(), events, 0};
        const int got = left.count() > 0 ? poll(&ready, 1, static_cast<int>(left.count())) : 0;
        if (got > 0) return {};
        if (got < 0 && errno != EINTR) return failed(errno_error("poll"));
        if (got == 0) {
            return fail_as(
                kTimedOut, Code::Unavailable,
                fmt::format("charon gave no answer in {} ms", options_.time_limit.count()));
        }
    }
}

// Keeps the connection or gives it up, and says the same as it was given.
Result<Message> Session::ended(Result<Message> answer) {
    if (answer && !reader_.is_between())
        answer = fail(Code::Malformed, "charon said more than was asked");
    if (answer) {
        backoff_.reset();
        return answer;
    }
    if (fd_ && is_harmless(answer.error())) return answer;
    fd_.reset();
    why_not_ = answer.error().message;
    not_before_ = clock_.since_boot() + std::min(backoff_.next(), kMostWait);
    return answer;
}

}  // namespace cvlan::vici
