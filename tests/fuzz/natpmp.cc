// SPDX-License-Identifier: Apache-2.0
// Answers of NAT-PMP gateways: a success is of its one size, and no other version is read.
#include <cstdlib>

#include "reach/natpmp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan::reach;
    const auto read = natpmp::parse({bytes, size});
    if (!read) return 0;
    if (bytes[0] != 0 || size < 8) std::abort();
    const auto* const mapped = std::get_if<natpmp::MapAnswer>(&*read);
    const auto* const address = std::get_if<natpmp::AddressAnswer>(&*read);
    if (mapped && mapped->outcome == natpmp::Outcome::Success && size != 16) std::abort();
    if (address && address->outcome == natpmp::Outcome::Success && size != 12) std::abort();
    if (natpmp::name_of(mapped ? mapped->outcome : address->outcome).empty()) std::abort();
    return 0;
}
