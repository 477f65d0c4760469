// SPDX-License-Identifier: Apache-2.0
#pragma once

// One caller's wish for an address, and the answer. Only store includes it.

#include <string>

#include "base/ip.h"
#include "store/types.h"

namespace cvlan::store {

struct Reservation {
    const Key& network;
    Family family;
    const std::string& holder;
    Result<Address> address = Address();
};

}  // namespace cvlan::store
