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
    const std::string& tenant_id = object.tenant_id;
    // A node that says where it can be reached administers nothing (store.h).
    const bool is_audited = kind != EventKind::EndpointsChanged;
    // Both are asked before anything changes (Database::ask_ahead). Beside a writer nobody writes.
    auto last = revision_of(tenant_id);
    if (!last) return failed(last.error());
    auto end = is_audited ? end_of_chain(tenant_id) : Result<model::AuditAnchor>({});
    if (!end) return failed(end.error());
    if (is_audited) Engine::work().chain = {tenant_id, std::move(*end)};
    const Revision revision = *last + 1;
    auto moved =
        tenant_id.empty()
            ? db_.sql("UPDATE meta SET operator_revision = ?", revision).run()
            : db_.sql(
                     "UPDATE tenants SET revision = ?1, removed_at = CASE ?2 WHEN 1 THEN ?1 ELSE "
                     "removed_at END WHERE id = ?3",
                     revision, takes_away(kind), tenant_id)
                  .run();
    if (!moved) return failed(moved.error());
    Event event{tenant_id, revision, kind, object.id, std::move(networks), clock_.now()};
    if (auto written = write_event(db_, event); !written) return failed(written.error());
    if (is_audited) draft(event, std::move(before));
    Engine::work().events.push_back(event);
    return event.revision;
}

Result<Revision> SqlBase::revision_of(const std::string& tenant_id) {
    Statement row = tenant_id.empty()
                        ? db_.sql("SELECT operator_revision FROM meta")
                        : db_.sql("SELECT revision FROM tenants WHERE id = ?", tenant_id);
    if (row.next()) return row.integer(0);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "tenant {}: not found", printable(tenant_id));
}

std::string SqlBase::owner() const {
    const bool is_account =
        cause_.actor.starts_with("user:") || cause_.actor.starts_with("service-account:");
    return is_account ? cause_.actor : "";
}

}  // namespace cvlan::store
