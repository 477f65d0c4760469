// SPDX-License-Identifier: Apache-2.0
#pragma once

// What lies below a message (README.md): a stream of segments, u32 length and bytes, each of which
// is one packet. Pure: bytes in, values out.
//
// A FrameReader takes a stream in pieces of any size and gives whole segments. It keeps no more
// than the part of a segment that has come, and nothing between segments.

#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "vici/message.h"

namespace cvlan::vici {

inline constexpr size_t kFrameHead = 4;
inline constexpr size_t kMostFrame = 512 * 1024;  // without the head

enum class PacketType : uint8_t {
    CommandRequest = 0,
    CommandResponse = 1,
    CommandUnknown = 2,
    EventRegister = 3,
    EventUnregister = 4,
    EventConfirm = 5,
    EventUnknown = 6,
    Event = 7,
};

struct Packet {
    PacketType type{};
    std::string_view name{};  // of a command or an event; else empty
    ByteView message{};       // encoded; empty where the type has none
};

// The views are of `frame`, a segment without its head. Code::Malformed for a type that is unknown,
// a name that is cut or empty, and a message where there is none.
Result<Packet> parse_packet(ByteView frame);

// A whole segment, its head included. `name` is 1 to 255 bytes, and empty for types without one.
// Code::Invalid where it would be longer than kMostFrame.
Result<WipedBytes> encode_packet(PacketType type, std::string_view name, const Message& message);

class FrameReader {
public:
    // The next bytes of the stream; they must stay until next() has returned false.
    void feed(ByteView bytes) { fresh_ = bytes; }
    // False: what was fed is used up, or error(). That stays: where a segment ends is unknown then.
    // `frame` is valid until the next call.
    bool next(ByteView& frame);
    const char* error() const { return error_; }
    // Nothing has come beyond the segments that were given.
    bool is_between() const { return (kept_.empty() || kept_was_given_) && fresh_.empty(); }

private:
    bool next_of_kept(ByteView& frame);
    bool take_kept_up_to(size_t size);
    bool keep_rest();
    bool is_good(size_t size);

    ByteView fresh_{};
    Bytes kept_;  // the beginning of a segment whose end has not come
    bool kept_was_given_ = false;
    const char* error_ = nullptr;
};

}  // namespace cvlan::vici
