// SPDX-License-Identifier: Apache-2.0
#include "relay/channel.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace cvlan::relay {

namespace {

// Who reads nothing while it makes us say something.
constexpr size_t kMostControlBytes = size_t{32} * 1024;
// Encrypted before the kernel is asked again.
constexpr size_t kSealedAtOnce = size_t{64} * 1024;

}  // namespace

Channel::Channel(EventLoop& loop, Shared& shared, Framing framing, http::Upgraded upgraded)
    : shared_(shared),
      stream_(shared.wire, std::move(upgraded)),
      waiting_(shared.pool, shared.queue_bytes),
      framing_(framing) {
    if (framing != Framing::Plain)
        websocket_ = std::make_unique<WebSocketReader>(
            framing == Framing::WebSocketServer ? WebSocketSide::Server : WebSocketSide::Client);
    event_assign(&read_, loop.base(), stream_.fd(), EV_READ | EV_PERSIST, readable, this);
    event_add(&read_, nullptr);
    // For what came behind the request, in HTTP's buffer or in OpenSSL's.
    event_active(&read_, EV_READ, 0);
}

Channel::~Channel() {
    event_del(&read_);
    if (write_) event_del(write_.get());
}

void Channel::readable(evutil_socket_t, short, void* self) {
    auto& channel = *static_cast<Channel*>(self);
    channel.on_turn();
    const StreamState state =
        channel.stream_.read([&](std::span<uint8_t> piece) { return channel.take(piece); });
    if (state != StreamState::Open) channel.report_over();
}

void Channel::writable(evutil_socket_t, short, void* self) {
    auto& channel = *static_cast<Channel*>(self);
    if (channel.stream_.go_on()) channel.send_waiting();
    if (channel.stream_.state() != StreamState::Open) return channel.report_over();
    if (!channel.stream_.is_blocked()) {
        event_del(channel.write_.get());
        channel.write_.reset();
    }
}

void Channel::report_over() {
    on_over(why_                                    ? why_
            : stream_.state() == StreamState::Ended ? "the other side has closed"
                                                    : "the connection is broken");
}

bool Channel::take(std::span<uint8_t> piece) {
    return websocket_ ? take_websocket(piece) : take_frames(piece);
}

bool Channel::malformed(const char* what) {
    why_ = what;
    last_words(Fault::Malformed, what);
    return false;
}

bool Channel::take_frames(ByteView bytes) {
    frames_.feed(bytes);
    Frame frame;
    while (frames_.next(frame))
        if (!on_frame(frame)) return false;
    return frames_.error() ? malformed(frames_.error()) : true;
}

bool Channel::take_websocket(std::span<uint8_t> piece) {
    websocket_->feed(piece);
    WebSocketReader::Piece part;
    while (websocket_->next(part)) {
        switch (part.opcode) {
            case Opcode::Binary:
                if (!take_frames(part.payload)) return false;
                if (!part.ends_message || frames_.is_between()) break;
                return malformed("a message ends within a frame");
            case Opcode::Ping:
                // RFC 6455 section 5.5.3: only the latest need be answered, where many wait.
                if (!stream_.is_blocked()) send_control(Opcode::Pong, part.payload);
                break;
            case Opcode::Close:
                if (!stream_.is_blocked())
                    send_control(
                        Opcode::Close,
                        ByteView(part.payload).first(std::min<size_t>(2, part.payload.size())));
                stream_.say_goodbye();
                why_ = "the other side has closed";
                return false;
            default:
                break;
        }
    }
    return websocket_->error() ? malformed(websocket_->error()) : true;
}

bool Channel::add_packet(FrameType type, const Key& key, ByteView payload) {
    const size_t body = wg::kKeySize + payload.size();
    const std::span<uint8_t> room = waiting_.add(kFrameHead + body);
    if (room.empty()) return false;
    write_head(room.data(), type, body);
    std::memcpy(&room[kFrameHead], key.bytes().data(), wg::kKeySize);
    if (!payload.empty())
        std::memcpy(&room[kFrameHead + wg::kKeySize], payload.data(), payload.size());
    return true;
}

// Section 5.3: a client's, and as unpredictable as keys are.
Bytes Channel::mask() const {
    if (framing_ != Framing::WebSocketClient) return {};
    Bytes made(4);
    if (RAND_bytes(made.data(), static_cast<int>(made.size())) != 1) made.assign(4, 0);
    return made;
}

// Where the bytes before `frames` are free (kHeadroom): one message, in one record if it fits.
void Channel::send_message(std::span<uint8_t> frames) {
    if (!websocket_) return stream_.write(frames);
    const Bytes by = mask();
    if (!by.empty()) mask_payload(frames, by);
    uint8_t* begin = frames.data() - websocket_head_size(frames.size(), !by.empty());
    const size_t head = write_websocket_head(begin, Opcode::Binary, frames.size(), by);
    stream_.write({begin, head + frames.size()});
}

void Channel::send_control(Opcode opcode, ByteView payload) {
    std::array<uint8_t, kMostWebSocketHead + kMostControl> message{};
    const Bytes by = mask();
    const size_t head = write_websocket_head(message.data(), opcode, payload.size(), by);
    const auto body = std::span(message).subspan(head, payload.size());
    std::copy(payload.begin(), payload.end(), body.begin());
    if (!by.empty()) mask_payload(body, by);
    stream_.write(ByteView(message).first(head + payload.size()));
    stream_.flush();
}

void Channel::send_waiting() {
    const auto has_more = [&] { return !control_.empty() || !waiting_.empty(); };
    while (has_more() && !stream_.is_blocked() && stream_.state() == StreamState::Open) {
        if (!control_.empty()) {
            Bytes message(kHeadroom);
            message.insert(message.end(), control_.begin(), control_.end());
            Bytes().swap(control_);
            send_message(std::span(message).subspan(kHeadroom));
        }
        while (!waiting_.empty() && shared_.wire.sealed.size() < kSealedAtOnce) {
            send_message(waiting_.front());
            waiting_.pop_front();
        }
        stream_.flush();
    }
}

bool Channel::flush() {
    send_waiting();
    if (stream_.is_blocked() && !write_) {
        write_ = std::make_unique<event>();
        event_assign(write_.get(), event_get_base(&read_), stream_.fd(), EV_WRITE | EV_PERSIST,
                     writable, this);
        event_add(write_.get(), nullptr);
    }
    return stream_.state() == StreamState::Open && control_.size() <= kMostControlBytes;
}

void Channel::last_words(Fault code, std::string_view text) {
    put_refusal(control_, {code, text});
    send_waiting();
    if (websocket_ && !stream_.is_blocked()) {
        const auto status = websocket_->error()      ? websocket_->status()
                            : code == Fault::Leaving ? CloseStatus::GoingAway
                                                     : CloseStatus::Normal;
        const auto number = static_cast<uint16_t>(status);
        send_control(Opcode::Close, std::array<uint8_t, 2>{static_cast<uint8_t>(number >> 8),
                                                           static_cast<uint8_t>(number)});
    }
    stream_.say_goodbye();
}

}  // namespace cvlan::relay
