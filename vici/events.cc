// SPDX-License-Identifier: Apache-2.0
#include "vici/events.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/backoff.h"
#include "vici/frame.h"
#include "vici/session.h"

namespace cvlan::vici {

namespace {

constexpr size_t kReadSize = 64 * 1024;

}  // namespace

struct Events::State {
    State(EventLoop& on, EventsOptions with, EventHandlers to)
        : loop(on),
          options(std::move(with)),
          handlers(std::move(to)),
          buffer(kReadSize),
          backoff(options.seed) {}

    void connect();
    Result<void> ask();
    void read();
    Result<void> read_some(size_t& size);
    Result<void> take(const Packet& packet);
    Result<void> take_event(const Packet& packet);
    void confirmed();
    void down(const Error& why);
    bool is_listening() const { return fd && confirms == options.names.size(); }

    EventLoop& loop;
    EventsOptions options;
    EventHandlers handlers;
    UniqueFd fd{};
    FrameReader reader{};
    Bytes buffer;
    size_t confirms = 0;  // charon answers in the order that it was asked
    Watch watch{};
    Timer timer{};  // until the next connection, or until all names have to be confirmed
    Backoff backoff;
};

void Events::State::connect() {
    reader = {};
    confirms = 0;
    auto connected = connect_to(options.at);
    if (!connected) return down(connected.error());
    fd = std::move(*connected);
    if (auto asked = ask(); !asked) return down(asked.error());
    watch = loop.on_readable(fd.get(), [this] { read(); });
    timer = loop.after(options.confirm_limit, [this] {
        down({Code::Unavailable, "charon does not confirm its events", 0, {}, kTimedOut});
    });
}

// A socket that was just opened takes these few bytes.
Result<void> Events::State::ask() {
    for (const std::string& name : options.names) {
        auto packet = encode_packet(PacketType::EventRegister, name, {});
        if (!packet) return failed(packet.error());
        const ssize_t sent = send(fd.get(), packet->data(), packet->size(), MSG_NOSIGNAL);
        if (sent != static_cast<ssize_t>(packet->size()))
            return fail(Code::Unavailable, "charon hung up at once");
    }
    return {};
}

void Events::State::read() {
    for (size_t taken = 0; taken < kMostATurn;) {
        size_t size = 0;
        if (auto done = read_some(size); !done) return down(done.error());
        if (size == 0) return;
        taken += size;
    }
}

Result<void> Events::State::read_some(size_t& size) {
    const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (got <= 0) return fail(Code::Unavailable, "charon hung up");
    size = static_cast<size_t>(got);
    reader.feed(ByteView(buffer).first(size));
    ByteView frame;
    while (reader.next(frame)) {
        auto packet = parse_packet(frame);
        if (!packet) return failed(packet.error());
        if (auto taken = take(*packet); !taken) return taken;
    }
    if (reader.error() != nullptr) return fail(Code::Malformed, "{}", reader.error());
    return {};
}

Result<void> Events::State::take(const Packet& packet) {
    if (packet.type == PacketType::Event) return take_event(packet);
    if (!is_listening() && packet.type == PacketType::EventUnknown)
        return fail(Code::Unsupported, "charon has no event {}", options.names[confirms]);
    if (is_listening() || packet.type != PacketType::EventConfirm) {
        return fail(Code::Malformed, "charon sent a packet of type {} among its events",
                    static_cast<int>(packet.type));
    }
    ++confirms;
    if (is_listening()) confirmed();
    return {};
}

Result<void> Events::State::take_event(const Packet& packet) {
    const auto end = options.names.begin() + static_cast<ptrdiff_t>(confirms);
    if (std::find(options.names.begin(), end, packet.name) == end) {
        return fail(Code::Malformed, "charon sent the event {} that nobody registered for",
                    printable(packet.name));
    }
    auto event = Message::parse(packet.message);
    if (!event) return failed(event.error().while_doing(packet.name));
    // Before on_listening nothing is promised, and after it everything is looked at.
    if (is_listening() && handlers.on_event) {
        if (auto taken = handlers.on_event(packet.name, *event); !taken)
            return failed(taken.error().while_doing(packet.name));
    }
    // Not by a connection alone: of a charon whose every event is bad there would be no end of
    // them.
    backoff.reset();
    return {};
}

void Events::State::confirmed() {
    timer.cancel();
    if (handlers.on_listening) handlers.on_listening();
}

void Events::State::down(const Error& why) {
    watch.cancel();
    fd.reset();
    timer = loop.after(std::min(backoff.next(), Session::kMostWait), [this] { connect(); });
    if (handlers.on_down) handlers.on_down(why);
}

Events::Events(EventLoop& loop, EventsOptions options, EventHandlers handlers)
    : state_(std::make_unique<State>(loop, std::move(options), std::move(handlers))) {
    state_->timer = loop.after({}, [state = state_.get()] { state->connect(); });
}

Events::~Events() = default;

bool Events::is_listening() const { return state_->is_listening(); }

}  // namespace cvlan::vici
