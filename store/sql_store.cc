// SPDX-License-Identifier: Apache-2.0
#include "store/sql_store.h"

#include "store/events.h"

namespace cvlan::store {

std::unique_ptr<Store> SqlStore::as(const Cause& cause) {
    return std::make_unique<SqlStore>(engine_, cause, lease_);
}

std::unique_ptr<Store> SqlStore::under(const Lease& lease) {
    return std::make_unique<SqlStore>(engine_, cause_, lease);
}

namespace {

// Who was away meanwhile is told of it by a full map alone.
bool takes_away(EventKind kind) {
    return kind == EventKind::NodeExpired || kind == EventKind::NodeRevoked ||
           kind == EventKind::NodeDeleted || kind == EventKind::NetworkDeleted;
}

}  // namespace

Result<Revision> SqlBase::record(const Key& object, EventKind kind,
                                 std::vector<std::string> networks, std::string before) {
    Statement next =
        object.tenant_id.empty()
            ? db_.sql(
                  "UPDATE meta SET operator_revision = operator_revision + 1 RETURNING "
                  "operator_revision")
            : db_.sql(
                  "UPDATE tenants SET revision = revision + 1, removed_at = CASE ? WHEN 1 THEN "
                  "revision + 1 ELSE removed_at END WHERE id = ? RETURNING revision",
                  takes_away(kind), object.tenant_id);
    const bool is_there = next.next();
    if (next.error()) return failed(*next.error());
    if (!is_there) return fail(Code::NotFound, "tenant {}: not found", printable(object.tenant_id));
    Event event{object.tenant_id, next.integer(0),     kind,
                object.id,        std::move(networks), clock_.now()};
    if (auto written = write_event(db_, event); !written) return failed(written.error());
    // A node that says where it can be reached administers nothing (store.h).
    if (kind != EventKind::EndpointsChanged) draft(event, std::move(before));
    Engine::work().events.push_back(event);
    return event.revision;
}

std::string SqlBase::owner() const {
    const bool is_account =
        cause_.actor.starts_with("user:") || cause_.actor.starts_with("service-account:");
    return is_account ? cause_.actor : "";
}

}  // namespace cvlan::store
