// SPDX-License-Identifier: Apache-2.0
#include "relay/websocket.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

namespace cvlan::relay {

namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // section 1.3

bool is_control(Opcode opcode) { return (static_cast<unsigned>(opcode) & 0x8) != 0; }

// Section 7.4: which codes may be on the wire.
bool is_close_status(unsigned code) {
    if (code >= 3000 && code <= 4999) return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

// Eight bytes at a time; `phase` is where in the mask the first byte falls.
void apply_mask(std::span<uint8_t> bytes, const std::array<uint8_t, 4>& mask, size_t phase) {
    std::array<uint8_t, 8> turned{};
    for (size_t i = 0; i < turned.size(); ++i) turned[i] = mask[(phase + i) % 4];
    uint64_t word = 0;
    std::memcpy(&word, turned.data(), sizeof word);
    size_t at = 0;
    for (; at + sizeof word <= bytes.size(); at += sizeof word) {
        uint64_t eight = 0;
        std::memcpy(&eight, &bytes[at], sizeof eight);
        eight ^= word;
        std::memcpy(&bytes[at], &eight, sizeof eight);
    }
    for (size_t i = 0; at < bytes.size(); ++at, ++i) bytes[at] ^= turned[i];
}

}  // namespace

std::string websocket_accept(std::string_view key) {
    const std::string text = std::string(key).append(kGuid);
    std::array<uint8_t, EVP_MAX_MD_SIZE> hash{};
    unsigned size = 0;
    // SHA-1 as RFC 6455 has it: it proves that the server speaks WebSocket, and guards nothing.
    if (EVP_Digest(text.data(), text.size(), hash.data(), &size, EVP_sha1(), nullptr) != 1)
        return {};
    return base64(ByteView(hash).first(size));
}

bool is_websocket_key(std::string_view key) {
    const auto bytes = from_base64(key);
    return bytes && bytes->size() == 16;
}

bool WebSocketReader::fail_with(CloseStatus status, const char* what) {
    error_ = what;
    status_ = status;
    return false;
}

bool WebSocketReader::next(Piece& piece) {
    while (!error_) {
        if (!in_payload_ && !read_head()) return false;
        in_payload_ = true;
        if (is_control(opcode_)) return read_control(piece);
        if (read_data(piece)) return true;
        if (in_payload_) return false;  // more is to come
    }
    return false;
}

// Section 5.2. The head is gathered byte by byte: it may come in pieces.
bool WebSocketReader::read_head() {
    while (true) {
        size_t wanted = 2;
        if (head_size_ >= 2) {
            const unsigned short_length = head_[1] & 0x7fu;
            wanted += short_length == 126 ? 2u : short_length == 127 ? 8u : 0u;
            if ((head_[1] & 0x80) != 0) wanted += 4;
            if (head_size_ == wanted) break;
        }
        if (fresh_.empty()) return false;
        const size_t more = std::min(wanted - head_size_, fresh_.size());
        std::copy_n(fresh_.begin(), more, head_.begin() + head_size_);
        head_size_ = static_cast<uint8_t>(head_size_ + more);
        fresh_ = fresh_.subspan(more);
        if (head_size_ == 2 &&
            !check_head((head_[0] & 0x80) != 0, static_cast<Opcode>(head_[0] & 0x0f),
                        (head_[1] & 0x80) != 0))
            return false;
    }
    return read_length();
}

bool WebSocketReader::check_head(bool is_final, Opcode opcode, bool is_masked) {
    const auto wrong = [this](const char* what) {
        return fail_with(CloseStatus::ProtocolError, what);
    };
    if ((head_[0] & 0x70) != 0) return wrong("a reserved bit is set");
    if (is_masked != (side_ == WebSocketSide::Server)) return wrong("masked on the wrong side");
    switch (opcode) {
        case Opcode::Close:
        case Opcode::Ping:
        case Opcode::Pong:
            if (!is_final) return wrong("a control frame in fragments");
            if ((head_[1] & 0x7f) > kMostControl) return wrong("a control frame is too long");
            break;
        case Opcode::Binary:
            if (in_message_) return wrong("a message within a message");
            message_ = 0;
            break;
        case Opcode::Continuation:
            if (!in_message_) return wrong("the rest of no message");
            break;
        case Opcode::Text:
            return fail_with(CloseStatus::Unsupported, "a message of text");
        default:
            return wrong("an unknown opcode");
    }
    is_final_ = is_final;
    opcode_ = opcode;
    return true;
}

bool WebSocketReader::read_length() {
    const unsigned short_length = head_[1] & 0x7fu;
    const size_t bytes = short_length == 126 ? 2u : short_length == 127 ? 8u : 0u;
    left_ = short_length;
    if (bytes > 0) {
        left_ = 0;
        for (size_t i = 0; i < bytes; ++i) left_ = left_ << 8 | head_[2 + i];
        if (left_ < (bytes == 2 ? 126u : 65536u) || left_ >> 63 != 0)
            return fail_with(CloseStatus::ProtocolError, "a length in the wrong form");
    }
    if (side_ == WebSocketSide::Server) std::copy_n(head_.begin() + 2 + bytes, 4, mask_.begin());
    mask_at_ = 0;
    head_size_ = 0;
    control_size_ = 0;
    if (is_control(opcode_)) return true;
    if (left_ > kMostMessage - message_)
        return fail_with(CloseStatus::TooBig, "a message is too long");
    message_ += left_;
    in_message_ = !is_final_;
    return true;
}

void WebSocketReader::unmask(std::span<uint8_t> bytes) {
    if (side_ == WebSocketSide::Client) return;
    apply_mask(bytes, mask_, mask_at_);
    mask_at_ = static_cast<uint8_t>((mask_at_ + bytes.size()) % 4);
}

// Of an empty frame in the middle of a message there is nothing to tell: false, and not
// in_payload_.
bool WebSocketReader::read_data(Piece& piece) {
    const size_t have = static_cast<size_t>(std::min<uint64_t>(left_, fresh_.size()));
    if (have == 0 && left_ > 0) return false;
    piece = {Opcode::Binary, fresh_.first(have), false};
    unmask(piece.payload);
    fresh_ = fresh_.subspan(have);
    left_ -= have;
    if (left_ > 0) return true;
    in_payload_ = false;
    piece.ends_message = is_final_;
    return have > 0 || is_final_;
}

bool WebSocketReader::read_control(Piece& piece) {
    const size_t have = static_cast<size_t>(std::min<uint64_t>(left_, fresh_.size()));
    std::copy_n(fresh_.begin(), have, control_.begin() + control_size_);
    control_size_ = static_cast<uint8_t>(control_size_ + have);
    fresh_ = fresh_.subspan(have);
    left_ -= have;
    if (left_ > 0) return false;
    in_payload_ = false;
    piece = {opcode_, std::span(control_).first(control_size_), false};
    unmask(piece.payload);
    if (opcode_ != Opcode::Close || control_size_ == 0) return true;
    // Section 5.5.1: a code, and a reason in UTF-8.
    if (control_size_ == 1 || !is_close_status(unsigned{control_[0]} << 8 | control_[1]) ||
        !is_utf8(as_text(ByteView(piece.payload).subspan(2))))
        return fail_with(CloseStatus::ProtocolError, "a close with a wrong reason");
    return true;
}

size_t write_websocket_head(uint8_t* at, Opcode opcode, size_t payload, ByteView mask) {
    uint8_t* next = at;
    const unsigned masked = mask.empty() ? 0 : 0x80;
    *next++ = static_cast<uint8_t>(0x80 | static_cast<unsigned>(opcode));
    const size_t bytes = payload < 126 ? 0 : payload < 65536 ? 2 : 8;
    *next++ = static_cast<uint8_t>(masked | (bytes == 0 ? payload : bytes == 2 ? 126u : 127u));
    for (size_t i = bytes; i > 0; --i)
        *next++ = static_cast<uint8_t>(uint64_t{payload} >> (8 * (i - 1)));
    next = std::copy(mask.begin(), mask.end(), next);
    return static_cast<size_t>(next - at);
}

void mask_payload(std::span<uint8_t> payload, ByteView mask) {
    apply_mask(payload, {mask[0], mask[1], mask[2], mask[3]}, 0);
}

}  // namespace cvlan::relay
