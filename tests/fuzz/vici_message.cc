// SPDX-License-Identifier: Apache-2.0
// A message that can be read is written as the same bytes, and shows itself in one short line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "vici/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan;
    const auto message = vici::Message::parse({bytes, size});
    if (!message) return 0;
    const auto again = message->encode();
    if (!again || !std::equal(again->begin(), again->end(), bytes, bytes + size)) std::abort();
    const std::string dump = message->dump();
    if (dump.size() > vici::Message::kMostDump || dump != printable(dump)) std::abort();
    return 0;
}
