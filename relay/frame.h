// SPDX-License-Identifier: Apache-2.0
#pragma once

// The frames of a session (README.md): u8 type, u32 length, body. Pure: bytes in, values out.
//
// A FrameReader takes a stream in pieces of any size and gives whole frames. It keeps no more than
// the part of a frame that has come, and nothing between frames.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/secret.h"
#include "kernel-wg/keys.h"

namespace cvlan::relay {

using Key = wg::PublicKey;

enum class FrameType : uint8_t {
    Hello = 0x01,
    Grant = 0x02,
    Granted = 0x03,
    Send = 0x04,
    Recv = 0x05,
    Ping = 0x06,
    Pong = 0x07,
    PeerGone = 0x08,
    Pair = 0x09,
    Offer = 0x0a,
    Ready = 0x0b,
    Unpair = 0x0c,
    Error = 0x0f,
};

inline constexpr size_t kFrameHead = 5;
inline constexpr size_t kMostPacket = 64 * 1024;
inline constexpr size_t kMostBody = kMostPacket + 2 * wg::kKeySize;
inline constexpr size_t kMostFrame = kFrameHead + kMostBody;
inline constexpr uint8_t kVersion1 = 1;

struct Frame {
    FrameType type{};  // may be none of those above
    ByteView body{};   // valid until the reader's next call
};

class FrameReader {
public:
    // The next bytes of the stream; they must stay until next() has returned false.
    void feed(ByteView bytes) { fresh_ = bytes; }
    // False: what was fed is used up, or error(). That stays: where a frame ends is unknown then.
    bool next(Frame& frame);
    const char* error() const { return error_; }
    // Between two frames.
    bool is_between() const { return kept_.empty() && fresh_.empty(); }

private:
    bool next_of_kept(Frame& frame);
    bool take_kept_up_to(size_t size);
    bool keep_rest();

    ByteView fresh_{};
    Bytes kept_;  // the beginning of a frame whose end has not come
    bool kept_was_given_ = false;
    const char* error_ = nullptr;
};

enum class Gone : uint8_t { Ended = 0, NotHere = 1 };
enum class Unpaired : uint8_t { Asked = 0, Peer = 1, Silent = 2, Limit = 3, NoFamily = 4 };
enum class Fault : uint8_t {
    Malformed = 1,
    GrantRefused = 2,
    Limit = 3,
    PairRefused = 4,
    Barred = 5,
    Leaving = 6,
};

using BindId = std::array<uint8_t, 16>;
using BindSecret = Secret<32>;

struct Hello {
    uint8_t version = kVersion1;
    std::vector<Endpoint> stun{};
};
struct PeerGone {
    Key peer{};
    Gone reason = Gone::Ended;  // a later version's other values stay what they are
};
struct PairOf {
    Key own{};
    Key peer{};
};
struct Offer {
    PairOf pair{};
    BindId bind_id{};
    BindSecret secret{};
    uint16_t port = 0;
    std::vector<Address> addresses{};  // of the relay, at most one a family
};
struct Ready {
    PairOf pair{};
    Endpoint at{};
};
struct Unpair {
    PairOf pair{};
    Unpaired reason = Unpaired::Asked;
};
struct Refusal {
    Fault code = Fault::Malformed;
    std::string_view text{};  // in the frame's bytes; not printable()
};
struct Packet {
    ByteView key{};  // 32 bytes: of SEND the destination's, of RECV the source's
    ByteView payload{};
};

// Of a frame's body; Code::Malformed where it is too short or holds what can not be.
Result<Hello> parse_hello(ByteView body);
Result<Key> parse_key(ByteView body);  // GRANTED
Result<Packet> parse_packet(ByteView body);
Result<std::array<uint8_t, 8>> parse_ping(ByteView body);
Result<PeerGone> parse_peer_gone(ByteView body);
Result<PairOf> parse_pair(ByteView body);
Result<Offer> parse_offer(ByteView body);
Result<Ready> parse_ready(ByteView body);
Result<Unpair> parse_unpair(ByteView body);
Result<Refusal> parse_refusal(ByteView body);

// Each appends one frame.
void put_hello(Bytes& out, const Hello& hello);
void put_grant(Bytes& out, std::string_view json);
void put_key(Bytes& out, FrameType type, const Key& key);
void put_packet(Bytes& out, FrameType type, const Packet& packet);
void put_ping(Bytes& out, FrameType type, std::span<const uint8_t, 8> bytes);
void put_peer_gone(Bytes& out, const PeerGone& gone);
void put_pair(Bytes& out, const PairOf& pair);
void put_offer(Bytes& out, const Offer& offer);
void put_ready(Bytes& out, const Ready& ready);
void put_unpair(Bytes& out, const Unpair& unpair);
void put_refusal(Bytes& out, const Refusal& refusal);

// The five bytes before a body.
inline void write_head(uint8_t* at, FrameType type, size_t body) {
    at[0] = static_cast<uint8_t>(type);
    at[1] = static_cast<uint8_t>(body >> 24);
    at[2] = static_cast<uint8_t>(body >> 16);
    at[3] = static_cast<uint8_t>(body >> 8);
    at[4] = static_cast<uint8_t>(body);
}

}  // namespace cvlan::relay
