// SPDX-License-Identifier: Apache-2.0
// Answers of PCP servers. A mapping that was read is asked for again in the same bytes.
#include <algorithm>
#include <cstdlib>

#include "reach/pcp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan::reach;
    const auto read = pcp::parse({bytes, size});
    if (!read) return 0;
    if (pcp::name_of(read->outcome).empty()) std::abort();
    if (read->mapping.has_value() != (read->opcode == pcp::Opcode::Map)) std::abort();
    if (!read->mapping) return 0;
    const auto asked = pcp::encode({.nonce = read->mapping->nonce,
                                    .internal_port = read->mapping->internal_port,
                                    .suggested = read->mapping->external,
                                    .lifetime_s = read->lifetime_s});
    // Nonce and protocol, then ports and address; three bytes between them are reserved.
    if (!std::equal(bytes + 24, bytes + 37, asked.begin() + 24)) std::abort();
    if (!std::equal(bytes + 40, bytes + 60, asked.begin() + 40)) std::abort();
    if (!std::equal(bytes + 4, bytes + 8, asked.begin() + 4)) std::abort();
    return 0;
}
