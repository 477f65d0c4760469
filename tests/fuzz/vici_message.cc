// SPDX-License-Identifier: Apache-2.0
// A message that can be read is written as the same bytes, and shows itself in one short line. As
// an SA or an event about one, its texts are printable.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "vici/sa.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan;
    const auto message = vici::Message::parse({bytes, size});
    if (!message) return 0;
    const auto again = message->encode();
    if (!again || !std::equal(again->begin(), again->end(), bytes, bytes + size)) std::abort();
    if (const auto sa = vici::parse_ike_sa(*message)) {
        if (sa->remote_id != printable(sa->remote_id)) std::abort();
    }
    for (const char* name : {"ike-updown", "child-updown", "ike-rekey", "child-rekey"})
        (void)vici::parse_sa_event(name, *message);
    const std::string dump = message->dump();
    if (dump.size() > vici::Message::kMostDump || dump != printable(dump)) std::abort();
    return 0;
}
