// SPDX-License-Identifier: Apache-2.0
// What holds for a whole tenant: its settings, its limits and what it has.
#include <limits>

#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

using namespace std::chrono_literals;
constexpr auto kShortestKeyLife = 1h;
constexpr auto kLongestKeyLife = 24h * 3650;

Result<void> check_settings(const model::Settings& settings) {
    const auto refuse = [](const char* field, const std::string& why) {
        return failed(
            Error{Code::Invalid, fmt::format("{}: {}", field, why), 0, fmt::format("/{}", field)});
    };
    const auto& life = settings.node_key_life;
    if (life && (*life < kShortestKeyLife || *life > kLongestKeyLife))
        return refuse("nodeKeyLife", "must be from 1h to 3650d");
    if (settings.audit_retention_days < 1 || settings.audit_retention_days > 3650)
        return refuse("auditRetentionDays", "must be from 1 to 3650");
    return {};
}

}  // namespace

Result<void> check_match(const Cause& cause, Revision revision) {
    if (!cause.expected || *cause.expected == revision) return {};
    return fail_as(
        kRevisionMismatch, Code::Conflict,
        fmt::format("the object has changed meanwhile: its ETag is \"{}\" now", revision));
}

Result<void> check_room(Statement& held, int64_t most, std::string_view nouns) {
    const int64_t count = held.next() ? held.integer(0) : 0;
    if (held.error()) return failed(*held.error());
    if (count <= most) return {};
    return fail_as(kQuotaExceeded, Code::Conflict,
                   fmt::format("quota of {} exceeded: {}/{}", nouns, count - 1, most));
}

Result<void> SqlStore::check_quota(const std::string& tenant_id, Quota quota) {
    auto tenant = find_tenant(tenant_id);
    if (!tenant) return failed(tenant.error());
    return check_quota(*tenant, quota);
}

Result<void> SqlStore::check_quota(const model::Tenant& tenant, Quota quota) {
    const model::Quotas& quotas = tenant.quotas;
    struct Counted {
        const char* table;
        std::optional<int64_t> limit;
    };
    const auto counted = [&]() -> Counted {
        switch (quota) {
            case Quota::Networks:
                return {"networks", quotas.networks};
            case Quota::Nodes:
                return {"nodes", quotas.nodes};
            case Quota::Users:
                return {"accounts", quotas.users};
            case Quota::Tokens:
                return {"tokens", quotas.tokens};
        }
        return {"nodes", 0};
    }();
    if (!counted.limit) return {};
    Statement held = db_.sql(
        fmt::format("SELECT count(*) FROM {} WHERE tenant_id = ?", counted.table), tenant.id);
    return check_room(held, *counted.limit, counted.table);
}

// Of two that are not negative; at the end of the range it stays.
static int64_t sum(int64_t a, int64_t b) {
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    return b > kMost - a ? kMost : a + b;
}

Result<Usage> SqlStore::usage(const std::string& tenant_id) {
    return read([&]() -> Result<Usage> {
        auto tenant = find_tenant(tenant_id);
        if (!tenant) return failed(tenant.error());
        Usage usage;
        usage.quotas = tenant->quotas;
        Statement counts = db_.sql(
            "SELECT (SELECT count(*) FROM networks WHERE tenant_id = ?1),"
            "       (SELECT count(*) FROM tokens WHERE tenant_id = ?1),"
            "       (SELECT count(*) FROM accounts WHERE tenant_id = ?1)",
            tenant_id);
        if (counts.next()) {
            usage.networks = counts.integer(0);
            usage.tokens = counts.integer(1);
            usage.users = counts.integer(2);
        }
        if (counts.error()) return failed(*counts.error());
        Statement nodes = db_.sql(
            "SELECT state, count(*) FROM nodes WHERE tenant_id = ? GROUP BY state", tenant_id);
        while (nodes.next())
            usage.nodes[static_cast<model::NodeState>(nodes.integer(0))] = nodes.integer(1);
        if (nodes.error()) return failed(*nodes.error());
        Statement traffic = db_.sql(
            "SELECT t.network_id, COALESCE(n.name, ''), t.received, t.sent FROM network_traffic t "
            "LEFT JOIN networks n ON n.tenant_id = t.tenant_id AND n.id = t.network_id WHERE "
            "t.tenant_id = ? ORDER BY t.network_id",
            tenant_id);
        while (traffic.next()) {
            const Usage::Traffic of{traffic.text(0), traffic.text(1), traffic.integer(2),
                                    traffic.integer(3)};
            usage.carried.received = sum(usage.carried.received, of.received);
            usage.carried.sent = sum(usage.carried.sent, of.sent);
            if (!of.network_name.empty()) usage.traffic.push_back(of);
        }
        if (traffic.error()) return failed(*traffic.error());
        return usage;
    });
}

Result<model::Settings> find_settings(Database& db, const std::string& tenant_id) {
    model::Settings settings;
    settings.tenant_id = tenant_id;
    Statement row = db.sql(
        "SELECT device_approval, node_key_life_s, map_expiry, audit_retention_days, revision FROM "
        "settings WHERE tenant_id = ?",
        tenant_id);
    if (row.next()) {
        settings.device_approval = row.integer(0) != 0;
        if (!row.is_null(1)) settings.node_key_life = std::chrono::seconds(row.integer(1));
        settings.map_expiry = static_cast<model::MapExpiry>(row.integer(2));
        settings.audit_retention_days = row.integer(3);
        settings.revision = row.integer(4);
    }
    if (row.error()) return failed(*row.error());
    return settings;
}

Result<model::Settings> SqlPolicies::settings(const std::string& tenant_id) {
    return store_.read([&]() -> Result<model::Settings> {
        auto tenant = store_.find_tenant(tenant_id);
        if (!tenant) return failed(tenant.error());
        return find_settings(store_.db_, tenant_id);
    });
}

Result<model::Settings> SqlPolicies::set_settings(const model::Settings& wanted) {
    if (auto good = check_settings(wanted); !good) return failed(good.error());
    return store_.write([&]() -> Result<model::Settings> {
        const std::string& id = wanted.tenant_id;
        auto tenant = store_.find_tenant(id);
        if (!tenant) return failed(tenant.error());
        auto before = find_settings(store_.db_, id);
        if (!before) return before;
        if (auto match = check_match(store_.cause_, before->revision); !match)
            return failed(match.error());
        auto revision =
            store_.record({id, id}, EventKind::SettingsChanged, {}, public_text(*before));
        if (!revision) return failed(revision.error());
        const auto life = wanted.node_key_life
                              ? std::optional<int64_t>(wanted.node_key_life->count())
                              : std::nullopt;
        auto put =
            store_.db_
                .sql(
                    "INSERT INTO settings (tenant_id, device_approval, node_key_life_s, "
                    "map_expiry, "
                    "audit_retention_days, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
                    "ON CONFLICT (tenant_id) DO UPDATE SET device_approval = ?2, node_key_life_s = "
                    "?3, map_expiry = ?4, audit_retention_days = ?5, revision = ?6",
                    id, wanted.device_approval, life, wanted.map_expiry,
                    wanted.audit_retention_days, *revision)
                .run();
        if (!put) return failed(put.error());
        return store_.audited(find_settings(store_.db_, id));
    });
}

}  // namespace cvlan::store
