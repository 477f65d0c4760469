// SPDX-License-Identifier: Apache-2.0
// A stream of frames cut at a place that the first byte names, and the same in one piece: both give
// the same frames. Each body is then read as what its type says, and what reads back writes the
// same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "relay/frame.h"

namespace {

using namespace cvlan;
using namespace cvlan::relay;

void parse_as(FrameType type, ByteView body) {
    Bytes out;
    switch (type) {
        case FrameType::Hello:
            if (const auto hello = parse_hello(body)) put_hello(out, *hello);
            break;
        case FrameType::Offer:
            if (const auto offer = parse_offer(body)) put_offer(out, *offer);
            break;
        case FrameType::Ready:
            if (const auto ready = parse_ready(body)) put_ready(out, *ready);
            break;
        case FrameType::Unpair:
            if (const auto unpair = parse_unpair(body)) put_unpair(out, *unpair);
            break;
        case FrameType::Error:
            if (const auto refusal = parse_refusal(body)) put_refusal(out, *refusal);
            break;
        case FrameType::PeerGone:
            if (const auto gone = parse_peer_gone(body)) put_peer_gone(out, *gone);
            break;
        case FrameType::Pair:
            if (const auto pair = parse_pair(body)) put_pair(out, *pair);
            break;
        case FrameType::Send:
        case FrameType::Recv:
            if (const auto packet = parse_packet(body)) put_packet(out, type, *packet);
            break;
        case FrameType::Ping:
        case FrameType::Pong:
            if (const auto ping = parse_ping(body)) put_ping(out, type, *ping);
            break;
        default:
            (void)parse_key(body);
    }
    if (out.empty()) return;
    FrameReader reader;
    reader.feed(out);
    Frame again;
    if (!reader.next(again) || again.type != type || again.body.size() > body.size()) std::abort();
}

Bytes read_in_pieces(ByteView stream, size_t first) {
    FrameReader reader;
    Bytes seen;
    for (const ByteView piece : {stream.first(first), stream.subspan(first)}) {
        reader.feed(piece);
        Frame frame;
        while (reader.next(frame)) {
            if (frame.body.size() > kMostBody) std::abort();
            put_packet(seen, frame.type, {frame.body, {}});
            parse_as(frame.type, frame.body);
        }
    }
    if (reader.error()) seen.push_back(0xff);
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
