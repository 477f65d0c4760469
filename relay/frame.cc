// SPDX-License-Identifier: Apache-2.0
#include "relay/frame.h"

#include <algorithm>

namespace cvlan::relay {

namespace {

constexpr size_t kMostEndpoints = 16;

size_t body_size(const uint8_t* head) {
    return size_t{head[1]} << 24 | size_t{head[2]} << 16 | size_t{head[3]} << 8 | size_t{head[4]};
}

// Walks a body. The first field that is not there stops it: what follows reads as zero, and the
// caller asks error() once.
class BodyReader {
public:
    explicit BodyReader(ByteView rest) : rest_(rest) {}

    ByteView take(size_t size) {
        if (is_short_ || rest_.size() < size) {
            is_short_ = true;
            return {};
        }
        const ByteView taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    uint8_t u8() {
        const ByteView byte = take(1);
        return byte.empty() ? uint8_t{0} : byte[0];
    }
    uint16_t u16() {
        const ByteView bytes = take(2);
        return bytes.empty() ? uint16_t{0} : static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
    }
    template <size_t N>
    std::array<uint8_t, N> array() {
        std::array<uint8_t, N> out{};
        const ByteView bytes = take(N);
        std::copy(bytes.begin(), bytes.end(), out.begin());
        return out;
    }
    Key key() { return Key(array<wg::kKeySize>()); }
    PairOf pair() {
        const Key own = key();
        return {own, key()};
    }
    Address address() {
        const uint8_t family = u8();
        if (family != 4 && family != 6) {
            is_wrong_ = true;
            return {};
        }
        return Address::from_bytes(take(family == 4 ? 4 : 16)).value_or(Address());
    }
    bool more() const { return !is_short_ && !is_wrong_ && !rest_.empty(); }
    ByteView rest() const { return rest_; }

    template <class T>
    Result<T> ended(T value) const {
        if (is_short_) return fail(Code::Malformed, "the frame ends too early");
        if (is_wrong_) return fail(Code::Malformed, "no family of addresses");
        return value;
    }

private:
    ByteView rest_;
    bool is_short_ = false;
    bool is_wrong_ = false;
};

// Appends a frame and sets its length when all fields are there.
class BodyWriter {
public:
    BodyWriter(Bytes& out, FrameType type) : out_(out), begin_(out.size()) {
        out_.resize(begin_ + kFrameHead);
        out_[begin_] = static_cast<uint8_t>(type);
    }
    ~BodyWriter() {
        const auto type = static_cast<FrameType>(out_[begin_]);
        write_head(&out_[begin_], type, out_.size() - begin_ - kFrameHead);
    }
    BodyWriter(const BodyWriter&) = delete;
    BodyWriter& operator=(const BodyWriter&) = delete;

    BodyWriter& u8(unsigned value) {
        out_.push_back(static_cast<uint8_t>(value));
        return *this;
    }
    BodyWriter& u16(unsigned value) { return u8(value >> 8).u8(value & 0xff); }
    BodyWriter& bytes(ByteView view) {
        out_.insert(out_.end(), view.begin(), view.end());
        return *this;
    }
    BodyWriter& key(const Key& key) { return bytes(key.bytes()); }
    BodyWriter& pair(const PairOf& pair) { return key(pair.own).key(pair.peer); }
    BodyWriter& address(const Address& address) {
        return u8(address.is_v4() ? 4 : 6).bytes(address.bytes());
    }

private:
    Bytes& out_;
    size_t begin_;
};

}  // namespace

bool FrameReader::next(Frame& frame) {
    if (kept_was_given_) {
        kept_was_given_ = false;
        // Not clear(): of 64 KiB that came once, nothing is kept for the life of a session.
        Bytes().swap(kept_);
    }
    if (error_) return false;
    if (!kept_.empty()) return next_of_kept(frame);
    if (fresh_.size() < kFrameHead) return keep_rest();
    const size_t size = body_size(fresh_.data());
    if (size > kMostBody) {
        error_ = "a frame is too long";
        return false;
    }
    if (fresh_.size() < kFrameHead + size) return keep_rest();
    frame = {static_cast<FrameType>(fresh_[0]), fresh_.subspan(kFrameHead, size)};
    fresh_ = fresh_.subspan(kFrameHead + size);
    return true;
}

bool FrameReader::next_of_kept(Frame& frame) {
    if (!take_kept_up_to(kFrameHead)) return false;
    const size_t size = body_size(kept_.data());
    if (size > kMostBody) {
        error_ = "a frame is too long";
        return false;
    }
    if (!take_kept_up_to(kFrameHead + size)) return false;
    frame = {static_cast<FrameType>(kept_[0]), ByteView(kept_).subspan(kFrameHead)};
    kept_was_given_ = true;
    return true;
}

bool FrameReader::take_kept_up_to(size_t size) {
    if (kept_.size() >= size) return true;
    const size_t more = std::min(size - kept_.size(), fresh_.size());
    kept_.insert(kept_.end(), fresh_.begin(), fresh_.begin() + static_cast<ptrdiff_t>(more));
    fresh_ = fresh_.subspan(more);
    return kept_.size() == size;
}

// No more than has come: a length that is only announced costs nothing.
bool FrameReader::keep_rest() {
    kept_.assign(fresh_.begin(), fresh_.end());
    fresh_ = {};
    return false;
}

Result<Hello> parse_hello(ByteView body) {
    BodyReader reader(body);
    Hello hello{reader.u8(), {}};
    reader.u8();  // flags: none yet
    while (reader.more() && hello.stun.size() < kMostEndpoints) {
        const Address address = reader.address();
        hello.stun.push_back({address, reader.u16()});
    }
    return reader.ended(std::move(hello));
}

Result<Key> parse_key(ByteView body) {
    BodyReader reader(body);
    const Key key = reader.key();
    return reader.ended(key);
}

Result<Packet> parse_packet(ByteView body) {
    BodyReader reader(body);
    const ByteView key = reader.take(wg::kKeySize);
    return reader.ended(Packet{key, reader.rest()});
}

Result<std::array<uint8_t, 8>> parse_ping(ByteView body) {
    BodyReader reader(body);
    const auto bytes = reader.array<8>();
    return reader.ended(bytes);
}

Result<PeerGone> parse_peer_gone(ByteView body) {
    BodyReader reader(body);
    const Key peer = reader.key();
    const auto reason = static_cast<Gone>(reader.u8());
    return reader.ended(PeerGone{peer, reason});
}

Result<PairOf> parse_pair(ByteView body) {
    BodyReader reader(body);
    const PairOf pair = reader.pair();
    return reader.ended(pair);
}

Result<Offer> parse_offer(ByteView body) {
    BodyReader reader(body);
    Offer offer;
    offer.pair = reader.pair();
    offer.bind_id = reader.array<16>();
    const ByteView secret = reader.take(32);
    std::copy(secret.begin(), secret.end(), offer.secret.writable().begin());
    offer.port = reader.u16();
    while (reader.more() && offer.addresses.size() < kMostEndpoints)
        offer.addresses.push_back(reader.address());
    return reader.ended(std::move(offer));
}

Result<Ready> parse_ready(ByteView body) {
    BodyReader reader(body);
    Ready ready;
    ready.pair = reader.pair();
    ready.at.address = reader.address();
    ready.at.port = reader.u16();
    return reader.ended(ready);
}

Result<Unpair> parse_unpair(ByteView body) {
    BodyReader reader(body);
    const PairOf pair = reader.pair();
    const auto reason = static_cast<Unpaired>(reader.u8());
    return reader.ended(Unpair{pair, reason});
}

Result<Refusal> parse_refusal(ByteView body) {
    BodyReader reader(body);
    const auto code = static_cast<Fault>(reader.u8());
    return reader.ended(Refusal{code, as_text(reader.rest())});
}

void put_hello(Bytes& out, const Hello& hello) {
    BodyWriter writer(out, FrameType::Hello);
    writer.u8(hello.version).u8(0);
    for (const Endpoint& endpoint : hello.stun) writer.address(endpoint.address).u16(endpoint.port);
}

void put_grant(Bytes& out, std::string_view json) {
    BodyWriter(out, FrameType::Grant).bytes(as_bytes(json));
}

void put_key(Bytes& out, FrameType type, const Key& key) { BodyWriter(out, type).key(key); }

void put_packet(Bytes& out, FrameType type, const Packet& packet) {
    BodyWriter(out, type).bytes(packet.key).bytes(packet.payload);
}

void put_ping(Bytes& out, FrameType type, std::span<const uint8_t, 8> bytes) {
    BodyWriter(out, type).bytes(bytes);
}

void put_peer_gone(Bytes& out, const PeerGone& gone) {
    BodyWriter(out, FrameType::PeerGone).key(gone.peer).u8(static_cast<uint8_t>(gone.reason));
}

void put_pair(Bytes& out, const PairOf& pair) { BodyWriter(out, FrameType::Pair).pair(pair); }

void put_offer(Bytes& out, const Offer& offer) {
    BodyWriter writer(out, FrameType::Offer);
    writer.pair(offer.pair).bytes(offer.bind_id).bytes(offer.secret.bytes()).u16(offer.port);
    for (const Address& address : offer.addresses) writer.address(address);
}

void put_ready(Bytes& out, const Ready& ready) {
    BodyWriter(out, FrameType::Ready).pair(ready.pair).address(ready.at.address).u16(ready.at.port);
}

void put_unpair(Bytes& out, const Unpair& unpair) {
    BodyWriter(out, FrameType::Unpair).pair(unpair.pair).u8(static_cast<uint8_t>(unpair.reason));
}

void put_refusal(Bytes& out, const Refusal& refusal) {
    BodyWriter(out, FrameType::Error)
        .u8(static_cast<uint8_t>(refusal.code))
        .bytes(as_bytes(refusal.text));
}

}  // namespace cvlan::relay
