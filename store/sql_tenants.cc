// SPDX-License-Identifier: Apache-2.0
#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kSelect =
    "SELECT id, name, revision, created_at, description, suspended, max_networks, max_nodes, "
    "max_users, max_tokens, own_revision FROM tenants";

model::Tenant tenant_row(const Statement& row) {
    const auto limit = [&](int column) {
        return row.is_null(column) ? std::nullopt : std::optional(row.integer(column));
    };
    return {row.text(0),
            row.text(1),
            row.integer(2),
            row.time(3),
            row.text(4),
            row.integer(5) != 0,
            {limit(6), limit(7), limit(8), limit(9)},
            row.integer(10)};
}

Result<void> check_free(Database& db, const std::string& name) {
    Statement taken = db.sql("SELECT 1 FROM tenants WHERE name = ?", name);
    if (taken.next()) return fail(Code::Exists, "tenant name '{}' is taken", name);
    if (taken.error()) return failed(*taken.error());
    return {};
}

Result<void> put_tenant(Database& db, const model::Tenant& tenant) {
    const model::Quotas& most = tenant.quotas;
    return db
        .sql(
            "UPDATE tenants SET name = ?, description = ?, suspended = ?, max_networks = ?, "
            "max_nodes = ?, max_users = ?, max_tokens = ?, own_revision = ? WHERE id = ?",
            tenant.name, tenant.description, tenant.suspended, most.networks, most.nodes,
            most.users, most.tokens, tenant.own_revision, tenant.id)
        .run();
}

model::Tenant changed(model::Tenant tenant, const TenantChange& change) {
    tenant.name = change.name.value_or(tenant.name);
    tenant.description = change.description.value_or(tenant.description);
    tenant.quotas = change.quotas.value_or(tenant.quotas);
    tenant.suspended = change.suspended.value_or(tenant.suspended);
    return tenant;
}

bool same(const model::Tenant& one, const model::Tenant& other) {
    const auto fields = [](const model::Tenant& t) {
        return std::tie(t.name, t.description, t.suspended, t.quotas.networks, t.quotas.nodes,
                        t.quotas.users, t.quotas.tokens);
    };
    return fields(one) == fields(other);
}

EventKind kind_of(const model::Tenant& before, const model::Tenant& after) {
    if (before.suspended == after.suspended)
        return before.name == after.name ? EventKind::TenantChanged : EventKind::TenantRenamed;
    return after.suspended ? EventKind::TenantSuspended : EventKind::TenantResumed;
}

}  // namespace

Result<model::Tenant> SqlStore::find_tenant(const std::string& id) {
    Statement row = db_.sql(fmt::format("{} WHERE id = ?", kSelect), id);
    if (row.next()) return tenant_row(row);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "tenant {}: not found", printable(id));
}

Result<model::Tenant> SqlStore::check_not_suspended(const std::string& tenant_id) {
    auto tenant = find_tenant(tenant_id);
    if (!tenant || !tenant->suspended) return tenant;
    return fail_as(kTenantSuspended, Code::Denied, "the tenant is suspended");
}

Result<model::Tenant> SqlStore::create_tenant(const NewTenant& wanted) {
    if (auto good = model::check_name("name", wanted.name); !good) return failed(good.error());
    if (auto good = check_description(wanted.description); !good) return failed(good.error());
    if (!is_uuid(wanted.id)) return fail(Code::Invalid, "tenant id: must be a UUID");
    return write([&]() -> Result<model::Tenant> {
        if (auto free = check_free(db_, wanted.name); !free) return failed(free.error());
        const WallTime now = clock_.now();
        auto made = db_.sql("INSERT INTO tenants (id, name, created_at) VALUES (?, ?, ?)",
                            wanted.id, wanted.name, now)
                        .run();
        if (!made) return failed(made.error());
        for (const SigningKeyRow& key : wanted.keys) {
            auto kept = db_.sql(
                               "INSERT INTO signing_keys (tenant_id, kid, purpose, public_key, "
                               "created_at) VALUES (?, ?, ?, ?, ?)",
                               wanted.id, key.kid, key.purpose, key.public_key, now)
                            .run();
            if (!kept) return failed(kept.error());
        }
        auto revision = record({wanted.id, wanted.id}, EventKind::TenantCreated, {});
        if (!revision) return failed(revision.error());
        model::Tenant tenant{wanted.id, wanted.name,   0,        now, wanted.description,
                             false,     wanted.quotas, *revision};
        if (auto put = put_tenant(db_, tenant); !put) return failed(put.error());
        return audited(find_tenant(wanted.id));
    });
}

Result<Page<model::Tenant>> SqlStore::tenants(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return read([&] {
        Statement rows = ListQuery(kSelect, filter, "id", "name")
                             .where("id = ?", filter.tenant)
                             .where("name = ?", filter.name)
                             .where("suspended = ?", filter.suspended)
                             .run(db_);
        return read_page<model::Tenant>(rows, filter, tenant_row);
    });
}

Result<model::Tenant> SqlStore::tenant(const std::string& id) {
    return read([&] { return find_tenant(id); });
}

Result<model::Tenant> SqlStore::update_tenant(const std::string& id, const TenantChange& change) {
    if (change.name)
        if (auto good = model::check_name("name", *change.name); !good) return failed(good.error());
    if (change.description)
        if (auto good = check_description(*change.description); !good) return failed(good.error());
    return write([&]() -> Result<model::Tenant> {
        auto tenant = find_tenant(id);
        if (!tenant) return tenant;
        if (auto match = check_match(cause_, tenant->own_revision); !match)
            return failed(match.error());
        model::Tenant wanted = changed(*tenant, change);
        if (same(*tenant, wanted)) return tenant;
        if (wanted.name != tenant->name)
            if (auto free = check_free(db_, wanted.name); !free) return failed(free.error());
        auto revision = record({id, id}, kind_of(*tenant, wanted), {}, public_text(*tenant));
        if (!revision) return failed(revision.error());
        wanted.own_revision = *revision;
        if (auto put = put_tenant(db_, wanted); !put) return failed(put.error());
        return audited(find_tenant(id));
    });
}

Result<Revision> SqlStore::delete_tenant(const std::string& id) {
    return write([&]() -> Result<Revision> {
        auto tenant = find_tenant(id);
        if (!tenant) return failed(tenant.error());
        if (auto match = check_match(cause_, tenant->own_revision); !match)
            return failed(match.error());
        auto revision = record({id, id}, EventKind::TenantDeleted, {}, public_text(*tenant));
        if (!revision) return revision;
        Statement left = db_.sql(
            "SELECT (SELECT count(*) FROM networks WHERE tenant_id = ?1),"
            "       (SELECT count(*) FROM nodes WHERE tenant_id = ?1)",
            id);
        if (left.next() && (left.integer(0) > 0 || left.integer(1) > 0))
            return fail(Code::Conflict, "tenant still has {} networks and {} nodes",
                        left.integer(0), left.integer(1));
        if (left.error()) return failed(*left.error());
        for (const char* step : {"DELETE FROM one_time_links WHERE tenant_id = ?",
                                 "DELETE FROM accounts WHERE tenant_id = ?"})
            if (auto gone = db_.sql(step, id).run(); !gone) return failed(gone.error());
        auto done = db_.sql("DELETE FROM tenants WHERE id = ?", id).run();
        if (!done) return failed(done.error());
        return revision;
    });
}

}  // namespace cvlan::store
