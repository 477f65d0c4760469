// SPDX-License-Identifier: Apache-2.0
#pragma once

// Addresses of a network that are given to what is no node of it: a gateway, a service, a peer
// outside. They come from the pool that nodes have theirs from, and are no change of the map: the
// verb that gives one to somebody records that.

#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "store/types.h"

namespace cvlan::store {

class SqlStore;
struct Reservation;

class Addresses {
public:
    explicit Addresses(SqlStore& store) : store_(store) {}

    // The lowest that is free, `holder`'s once it is on disk. Conflict: none is. Callers at the
    // same time share a transaction.
    Result<Address> reserve(const Key& network, Family family, const std::string& holder);
    // Into quarantine. NotFound: it is not reserved.
    Result<void> give_back(const Key& network, const Address& address);
    // How many of the network are reserved.
    Result<int64_t> reserved(const Key& network);

private:
    void reserve_all(const std::vector<Reservation*>& calls);

    SqlStore& store_;
};

}  // namespace cvlan::store
