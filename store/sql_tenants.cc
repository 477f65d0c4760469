// SPDX-License-Identifier: Apache-2.0
#include "store/sql_pages.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kSelect = "SELECT id, name, revision, created_at FROM tenants";

model::Tenant tenant_row(const Statement& row) {
    return {row.text(0), row.text(1), row.integer(2), row.time(3)};
}

}  // namespace

Result<model::Tenant> SqlStore::find_tenant(const std::string& id) {
    Statement row = db_.sql(fmt::format("{} WHERE id = ?", kSelect), id);
    if (row.next()) return tenant_row(row);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "tenant {}: not found", printable(id));
}

Result<model::Tenant> SqlStore::create_tenant(const NewTenant& tenant) {
    if (auto good = model::check_name("name", tenant.name); !good) return failed(good.error());
    if (!is_uuid(tenant.id)) return fail(Code::Invalid, "tenant id: must be a UUID");
    return write([&]() -> Result<model::Tenant> {
        Statement taken = db_.sql("SELECT 1 FROM tenants WHERE name = ?", tenant.name);
        if (taken.next()) return fail(Code::Exists, "tenant name '{}' is taken", tenant.name);
        const WallTime now = clock_.now();
        auto made = db_.sql("INSERT INTO tenants (id, name, created_at) VALUES (?, ?, ?)",
                            tenant.id, tenant.name, now)
                        .run();
        if (!made) return failed(made.error());
        for (const SigningKeyRow& key : tenant.keys) {
            auto kept = db_.sql("INSERT INTO signing_keys VALUES (?, ?, ?, ?, ?)", tenant.id,
                                key.kid, key.purpose, key.public_key, now)
                            .run();
            if (!kept) return failed(kept.error());
        }
        if (auto event = record({tenant.id, tenant.id}, EventKind::TenantCreated, {}); !event)
            return failed(event.error());
        return audited(find_tenant(tenant.id));
    });
}

Result<Page<model::Tenant>> SqlStore::tenants(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return read([&] {
        Statement rows = ListQuery(kSelect, "id", filter)
                             .where("id = ?", filter.tenant)
                             .where("name = ?", filter.name)
                             .run(db_);
        return read_page<model::Tenant>(rows, filter, tenant_row);
    });
}

Result<model::Tenant> SqlStore::tenant(const std::string& id) {
    return read([&] { return find_tenant(id); });
}

Result<model::Tenant> SqlStore::rename_tenant(const std::string& id, const std::string& name) {
    if (auto good = model::check_name("name", name); !good) return failed(good.error());
    return write([&]() -> Result<model::Tenant> {
        auto tenant = find_tenant(id);
        if (!tenant || tenant->name == name) return tenant;
        Statement taken = db_.sql("SELECT 1 FROM tenants WHERE name = ?", name);
        if (taken.next()) return fail(Code::Exists, "tenant name '{}' is taken", name);
        if (taken.error()) return failed(*taken.error());
        if (auto event = record({id, id}, EventKind::TenantRenamed, {}, public_text(*tenant));
            !event)
            return failed(event.error());
        auto done = db_.sql("UPDATE tenants SET name = ? WHERE id = ?", name, id).run();
        if (!done) return failed(done.error());
        return audited(find_tenant(id));
    });
}

Result<Revision> SqlStore::delete_tenant(const std::string& id) {
    return write([&]() -> Result<Revision> {
        auto tenant = find_tenant(id);
        if (!tenant) return failed(tenant.error());
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
