// SPDX-License-Identifier: Apache-2.0
#include "vici/frame.h"

#include <algorithm>

namespace cvlan::vici {

namespace {

size_t size_in(const uint8_t* head) {
    return size_t{head[0]} << 24 | size_t{head[1]} << 16 | size_t{head[2]} << 8 | size_t{head[3]};
}

bool has_name(PacketType type) {
    return type == PacketType::CommandRequest || type == PacketType::EventRegister ||
           type == PacketType::EventUnregister || type == PacketType::Event;
}

bool has_message(PacketType type) {
    return type == PacketType::CommandRequest || type == PacketType::CommandResponse ||
           type == PacketType::Event;
}

}  // namespace

Result<Packet> parse_packet(ByteView frame) {
    if (frame.empty()) return fail(Code::Malformed, "an empty VICI packet");
    if (frame[0] > static_cast<uint8_t>(PacketType::Event))
        return fail(Code::Malformed, "a VICI packet of the unknown type {}", frame[0]);
    Packet packet{static_cast<PacketType>(frame[0]), {}, frame.subspan(1)};
    if (has_name(packet.type)) {
        const size_t size = packet.message.empty() ? 0 : packet.message[0];
        if (size == 0) return fail(Code::Malformed, "a VICI packet without its name");
        if (packet.message.size() < 1 + size)
            return fail(Code::Malformed, "a VICI packet ends within its name");
        packet.name = as_text(packet.message.subspan(1, size));
        packet.message = packet.message.subspan(1 + size);
    }
    if (!has_message(packet.type) && !packet.message.empty())
        return fail(Code::Malformed, "a VICI packet of type {} with a message", frame[0]);
    return packet;
}

Result<WipedBytes> encode_packet(PacketType type, std::string_view name, const Message& message) {
    if (has_name(type) ? name.empty() || name.size() > kMostName : !name.empty())
        return fail(Code::Invalid, "a name of {} bytes for a VICI packet", name.size());
    WipedBytes out(kFrameHead);
    out.push_back(static_cast<uint8_t>(type));
    if (has_name(type)) {
        out.push_back(static_cast<uint8_t>(name.size()));
        out.insert(out.end(), name.begin(), name.end());
    }
    if (has_message(type)) {
        auto encoded = message.encode();
        if (!encoded) return failed(encoded.error());
        out.insert(out.end(), encoded->begin(), encoded->end());
    }
    const size_t size = out.size() - kFrameHead;
    if (size > kMostFrame) return fail(Code::Invalid, "a VICI packet is too long");
    for (size_t i = 0; i < kFrameHead; ++i) out[i] = static_cast<uint8_t>(size >> (24 - 8 * i));
    return out;
}

bool FrameReader::next(ByteView& frame) {
    if (kept_was_given_) {
        kept_was_given_ = false;
        // Not clear(): of 512 KiB that came once, nothing is kept for the life of a connection.
        Bytes().swap(kept_);
    }
    if (error_ != nullptr) return false;
    if (!kept_.empty()) return next_of_kept(frame);
    if (fresh_.size() < kFrameHead) return keep_rest();
    const size_t size = size_in(fresh_.data());
    if (!is_good(size)) return false;
    if (fresh_.size() < kFrameHead + size) return keep_rest();
    frame = fresh_.subspan(kFrameHead, size);
    fresh_ = fresh_.subspan(kFrameHead + size);
    return true;
}

bool FrameReader::next_of_kept(ByteView& frame) {
    if (!take_kept_up_to(kFrameHead)) return false;
    const size_t size = size_in(kept_.data());
    if (!is_good(size)) return false;
    if (!take_kept_up_to(kFrameHead + size)) return false;
    frame = ByteView(kept_).subspan(kFrameHead);
    kept_was_given_ = true;
    return true;
}

bool FrameReader::is_good(size_t size) {
    if (size == 0) error_ = "an empty VICI segment";
    if (size > kMostFrame) error_ = "a VICI segment is too long";
    return error_ == nullptr;
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

}  // namespace cvlan::vici
