// SPDX-License-Identifier: Apache-2.0
#include "store/addresses.h"

#include <map>
#include <tuple>

#include "store/reservation.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

Result<Address> Addresses::reserve(const Key& network, Family family, const std::string& holder) {
    Reservation call{network, family, holder};
    store_.engine_.reserving().run(
        call, [this](const std::vector<Reservation*>& calls) { reserve_all(calls); });
    return call.address;
}

// In one transaction; who finds no address has an answer of his own.
void Addresses::reserve_all(const std::vector<Reservation*>& calls) {
    auto done = store_.write([&]() -> Result<void> {
        std::map<std::tuple<std::string, std::string, Family>, std::vector<Reservation*>> pools;
        for (Reservation* call : calls)
            pools[{call->network.tenant_id, call->network.id, call->family}].push_back(call);
        for (const auto& [pool, callers] : pools)
            if (auto given = store_.reserve_in(callers); !given) return given;
        return {};
    });
    if (done) return;
    for (Reservation* call : calls) call->address = failed(done.error());
}

Result<void> SqlStore::reserve_in(const std::vector<Reservation*>& callers) {
    const Reservation& first = *callers.front();
    auto network = find_network(first.network.tenant_id, first.network.id);
    if (!network && network.error().code != Code::NotFound) return failed(network.error());
    auto given = network ? allocate_many(*network, first.family, callers.size())
                         : Result<std::vector<Address>>(failed(network.error()));
    if (!given && network) return failed(given.error());
    const size_t count = given ? given->size() : 0;
    for (size_t i = 0; i < count; ++i) callers[i]->address = (*given)[i];
    if (count < callers.size()) {
        const Error none = network ? exhausted(*network, first.family) : network.error();
        for (size_t i = count; i < callers.size(); ++i) callers[i]->address = failed(none);
    }
    return keep_reserved(std::vector<Reservation*>(
        callers.begin(), callers.begin() + static_cast<std::ptrdiff_t>(count)));
}

Result<void> SqlStore::keep_reserved(const std::vector<Reservation*>& reserved) {
    static const RowInsert insert(
        "INSERT INTO reserved_addresses (tenant_id, network_id, address, holder, reserved_at)", 5);
    const WallTime now = clock_.now();
    return insert.run(db_, reserved.size(), [&](Statement& row, size_t i) {
        const Reservation& one = *reserved[i];
        row.bind(one.network.tenant_id).bind(one.network.id).bind(*one.address).bind(one.holder);
        row.bind(now);
    });
}

Result<void> Addresses::give_back(const Key& network, const Address& address) {
    return store_.write([&]() -> Result<void> {
        Statement gone = store_.db_.sql(
            "DELETE FROM reserved_addresses WHERE tenant_id = ? AND network_id = ? AND address = ? "
            "RETURNING address",
            network.tenant_id, network.id, address);
        const bool was_there = gone.next();
        if (gone.error()) return failed(*gone.error());
        if (!was_there) return fail(Code::NotFound, "address {}: not reserved", address.text());
        return store_.quarantine(network, address);
    });
}

Result<int64_t> Addresses::reserved(const Key& network) {
    return store_.read([&]() -> Result<int64_t> {
        Statement row = store_.db_.sql(
            "SELECT count(*) FROM reserved_addresses WHERE tenant_id = ? AND network_id = ?",
            network.tenant_id, network.id);
        const int64_t count = row.next() ? row.integer(0) : 0;
        if (row.error()) return failed(*row.error());
        return count;
    });
}

}  // namespace cvlan::store
