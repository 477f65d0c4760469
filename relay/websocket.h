// SPDX-License-Identifier: Apache-2.0
#pragma once

// WebSocket (RFC 6455) as far as a stream of relay frames needs it: the handshake's two headers,
// and the framing of binary messages. Pure: bytes in, values out.
//
// A message's payload is handed on as it comes, so nothing of it is kept, and its length costs
// nothing; kept is a head in pieces, and a control frame of at most 125 bytes. What RFC 6455
// forbids is an error with the status code to close with.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace cvlan::relay {

inline constexpr std::string_view kSubprotocol = "cvlan-relay";

// Section 4.2.2: what Sec-WebSocket-Accept must be for this Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);
// 16 bytes in base64 (section 4.1), as a server demands of a client's key.
bool is_websocket_key(std::string_view key);

enum class Opcode : uint8_t {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
};

enum class CloseStatus : uint16_t {
    Normal = 1000,
    GoingAway = 1001,
    ProtocolError = 1002,
    Unsupported = 1003,
    TooBig = 1009,
};

enum class WebSocketSide : uint8_t { Server, Client };  // whose bytes must, and must not, be masked

inline constexpr size_t kMostWebSocketHead = 14;
inline constexpr size_t kMostControl = 125;
inline constexpr uint64_t kMostMessage = uint64_t{1} << 20;  // of ours none is above 64 KiB

class WebSocketReader {
public:
    explicit WebSocketReader(WebSocketSide side) : side_(side) {}

    struct Piece {
        Opcode opcode{};  // Binary, Close, Ping or Pong
        // Unmasked; of Binary the next bytes of a message, of the others the whole payload. Valid
        // until the next call.
        std::span<uint8_t> payload{};
        bool ends_message = false;  // of Binary
    };

    // The next bytes of the stream, which are unmasked where they lie.
    void feed(std::span<uint8_t> bytes) { fresh_ = bytes; }
    // False: what was fed is used up, or error().
    bool next(Piece& piece);
    const char* error() const { return error_; }
    CloseStatus status() const { return status_; }  // to close with after an error

private:
    bool read_head();
    bool check_head(bool is_final, Opcode opcode, bool is_masked);
    bool read_length();
    bool read_data(Piece& piece);
    bool read_control(Piece& piece);
    void unmask(std::span<uint8_t> bytes);
    bool fail_with(CloseStatus status, const char* what);

    WebSocketSide side_;
    std::span<uint8_t> fresh_{};
    std::array<uint8_t, kMostWebSocketHead> head_{};
    uint8_t head_size_ = 0;  // that has come of it
    bool in_payload_ = false;
    bool in_message_ = false;  // a fragment came that was not the last
    bool is_final_ = false;
    Opcode opcode_{};  // of the frame
    uint8_t mask_at_ = 0;
    std::array<uint8_t, 4> mask_{};
    uint64_t left_ = 0;     // of the frame's payload
    uint64_t message_ = 0;  // bytes of the message so far
    uint8_t control_size_ = 0;
    std::array<uint8_t, kMostControl> control_{};
    const char* error_ = nullptr;
    CloseStatus status_ = CloseStatus::Normal;
};

// The head of an unfragmented message or control frame, written to `at`, which has
// kMostWebSocketHead bytes; returns its size. `mask` empty: none, as servers must. Else the payload
// is to be masked with these four bytes, by mask_payload().
size_t write_websocket_head(uint8_t* at, Opcode opcode, size_t payload, ByteView mask);
void mask_payload(std::span<uint8_t> payload, ByteView mask);
// How long the head will be.
constexpr size_t websocket_head_size(size_t payload, bool is_masked) {
    return (payload < 126 ? 2u : payload < 65536 ? 4u : 10u) + (is_masked ? 4u : 0u);
}

}  // namespace cvlan::relay
