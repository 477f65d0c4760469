// SPDX-License-Identifier: Apache-2.0
// The bytes of one side of a WebSocket, cut at a place that the first byte names, and in one piece:
// both give the same messages, or the same fault. The first byte's lowest bit says which side.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "relay/frame.h"
#include "relay/websocket.h"

namespace {

using namespace cvlan;
using namespace cvlan::relay;

// What was read, and what a reader of frames makes of it.
Bytes read_in_pieces(WebSocketSide side, ByteView bytes, size_t first) {
    Bytes stream(bytes.begin(), bytes.end());
    WebSocketReader reader(side);
    FrameReader frames;
    Bytes seen;
    for (const auto piece : {std::span(stream).first(first), std::span(stream).subspan(first)}) {
        reader.feed(piece);
        WebSocketReader::Piece part;
        while (reader.next(part)) {
            if (part.opcode != Opcode::Binary) {
                if (part.payload.size() > kMostControl) std::abort();
                seen.push_back(static_cast<uint8_t>(part.opcode));
                continue;
            }
            frames.feed(part.payload);
            Frame frame;
            while (frames.next(frame)) put_packet(seen, frame.type, {frame.body, {}});
            if (part.ends_message) seen.push_back('.');
        }
    }
    if (reader.error()) seen.push_back(static_cast<uint8_t>(reader.status()));
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size < 2) return 0;
    const auto side = (bytes[0] & 1) != 0 ? WebSocketSide::Server : WebSocketSide::Client;
    const ByteView stream(bytes + 1, size - 1);
    if (read_in_pieces(side, stream, stream.size() * bytes[0] / 256) !=
        read_in_pieces(side, stream, 0))
        std::abort();
    return 0;
}
