// SPDX-License-Identifier: Apache-2.0
// A stream of segments cut at a place that the first byte names, and the same in one piece: both
// give the same packets. What can be read is written again, and is the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "vici/frame.h"

namespace {

using namespace cvlan;
using namespace cvlan::vici;

void read_packet(ByteView frame) {
    const auto packet = parse_packet(frame);
    if (!packet) return;
    const auto message = Message::parse(packet->message);
    if (!message) return;
    const auto again = encode_packet(packet->type, packet->name, *message);
    if (!again ||
        !std::equal(frame.begin(), frame.end(), again->begin() + kFrameHead, again->end()))
        std::abort();
}

Bytes read_in_pieces(ByteView stream, size_t first) {
    FrameReader reader;
    Bytes seen;
    for (const ByteView piece : {stream.first(first), stream.subspan(first)}) {
        reader.feed(piece);
        ByteView frame;
        while (reader.next(frame)) {
            if (frame.empty() || frame.size() > kMostFrame) std::abort();
            read_packet(frame);
            seen.push_back(0);
            seen.insert(seen.end(), frame.begin(), frame.end());
        }
    }
    if (reader.error() != nullptr) seen.push_back(0xff);
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size < 2) return 0;
    const ByteView stream(bytes + 1, size - 1);
    if (read_in_pieces(stream, stream.size() * bytes[0] / 256) != read_in_pieces(stream, 0))
        std::abort();
    return 0;
}
