// SPDX-License-Identifier: Apache-2.0
// A request cut into two pieces at a place that the first byte names, and the same bytes in one
// piece: both must come to the same verdict. The answer of a server goes through the same bytes
// too.
#include <event2/buffer.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "http/request_reader.h"
#include "http/response_reader.h"

namespace {

using cvlan::http::RequestReader;
using Step = RequestReader::Step;

// The request that was read, or nothing.
std::optional<std::string> read_in_pieces(std::string_view bytes, size_t first) {
    evbuffer* input = evbuffer_new();
    RequestReader reader(cvlan::http::Limits{.body_bytes = 4096});
    Step step = Step::NeedHead;
    for (const auto piece : {bytes.substr(0, first), bytes.substr(first)}) {
        if (step == Step::Refused || step == Step::Done) break;
        evbuffer_add(input, piece.data(), piece.size());
        step = reader.read(input);
    }
    evbuffer_free(input);
    if (step != Step::Done) return std::nullopt;
    const auto& request = reader.request();
    std::string text = request.method + "\n" + request.path + "\n" + request.query + "\n";
    for (const auto& header : request.headers) text += header.name + "=" + header.value + "\n";
    return text + request.body;
}

void read_answer(std::string_view bytes, size_t first) {
    evbuffer* input = evbuffer_new();
    cvlan::http::ResponseReader reader({.to_head = bytes.size() % 2 == 0, .body_bytes = 4096});
    for (const auto piece : {bytes.substr(0, first), bytes.substr(first)}) {
        evbuffer_add(input, piece.data(), piece.size());
        const auto whole = reader.read(input);
        if (!whole) break;
        if (!*whole) continue;
        if (reader.take().status < 200) std::abort();
        break;
    }
    evbuffer_free(input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size < 2) return 0;
    const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
    const size_t first = text.size() * bytes[0] / 256;
    if (read_in_pieces(text, first) != read_in_pieces(text, text.size())) std::abort();
    read_answer(text, first);
    return 0;
}
