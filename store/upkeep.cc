// SPDX-License-Identifier: Apache-2.0
#include "store/upkeep.h"

#include <unistd.h>

#include "store/migrate.h"
#include "store/sql_store.h"
#include "store/sqlite.h"
#include "store/sqlite_copy.h"

namespace cvlan::store {

namespace {

struct Rule {
    const char* broken;  // with the id of what breaks it
    const char* query;   // its first column is that id
};

constexpr Rule kRules[] = {
    {"node {}: an address of it is held back or free too",
     "SELECT m.node_id FROM memberships m JOIN released_addresses r ON r.tenant_id = m.tenant_id "
     "AND r.network_id = m.network_id AND (r.address = m.ipv4 OR r.address = m.ipv6)"},
    {"node {}: an address of it is outside its network",
     "SELECT m.node_id FROM memberships m JOIN networks n ON n.tenant_id = m.tenant_id AND n.id = "
     "m.network_id WHERE m.ipv4 < n.ipv4_first OR m.ipv4 > n.ipv4_last OR m.ipv6 < n.ipv6_first OR "
     "m.ipv6 > n.ipv6_last"},
    {"node {}: an address of it would be given again",
     "SELECT m.node_id FROM memberships m JOIN networks n ON n.tenant_id = m.tenant_id AND n.id = "
     "m.network_id WHERE m.ipv4 >= n.ipv4_next OR m.ipv6 >= n.ipv6_next"},
    {"network {}: counts other nodes than it has",
     "SELECT n.id FROM networks n WHERE n.node_count <> (SELECT count(*) FROM memberships m WHERE "
     "m.tenant_id = n.tenant_id AND m.network_id = n.id)"},
    {"network {}: is gone, and addresses of it are still reserved",
     "SELECT DISTINCT r.network_id FROM reserved_addresses r WHERE NOT EXISTS (SELECT 1 FROM "
     "networks n WHERE n.tenant_id = r.tenant_id AND n.id = r.network_id)"},
    {"token {}: has more uses left than it had",
     "SELECT id FROM tokens WHERE uses_left > uses_total"},
    {"tenant {}: has an event of a revision that is yet to come",
     "SELECT DISTINCT e.tenant_id FROM events e JOIN tenants t ON t.id = e.tenant_id WHERE "
     "e.revision > t.revision"},
};
constexpr int kNamedOfARule = 10;

// Removed at the end, with what SQLite and the store's lock put beside it.
struct Copy {
    std::string path;
    ~Copy() {
        for (const char* part : {"", "-wal", "-shm", ".lock"}) ::unlink((path + part).c_str());
    }
};

std::string copy_name(const std::string& path, const char* why) {
    return fmt::format("{}.{}.{}", path, ::getpid(), why);
}

}  // namespace

Result<std::vector<std::string>> Upkeep::check() {
    auto broken = store_.read([&]() -> Result<std::vector<std::string>> {
        std::vector<std::string> found;
        for (const Rule& rule : kRules) {
            Statement rows = store_.db_.sql(fmt::format("{} LIMIT ?", rule.query), kNamedOfARule);
            while (rows.next())
                found.push_back(fmt::format(fmt::runtime(rule.broken), rows.text(0)));
            if (rows.error()) return failed(*rows.error());
        }
        return found;
    });
    if (!broken) return broken;
    auto chains = store_.verify_audit({});
    if (!chains) return failed(chains.error());
    for (const AuditVerdict& chain : *chains)
        if (!chain.fault.empty())
            broken->push_back(fmt::format(
                "audit of {}: {}", chain.tenant_id.empty() ? "the operator" : chain.tenant_id,
                chain.fault));
    return broken;
}

Result<int64_t> Upkeep::new_epoch() {
    return store_.write([&]() -> Result<int64_t> {
        const int64_t epoch = std::max(unix_ms(store_.clock_.now()), store_.epoch() + 1);
        auto raised =
            store_.db_.sql("UPDATE meta SET epoch = ? WHERE epoch < ?", epoch, epoch).run();
        if (!raised) return failed(raised.error());
        if (store_.db_.changes() != 1)
            return fail(Code::Conflict, "somebody has raised the epoch at the same time");
        store_.draft_without_event({.action = "EPOCH_RAISED", .object_kind = "database"});
        return epoch;
    });
}

Result<std::optional<std::string>> copy_before_migration(const std::string& path) {
    auto schema = schema_of_file(path);
    if (!schema) return failed(schema.error());
    // A new one has nothing to lose.
    if (*schema <= 0 || *schema >= newest_schema()) return std::nullopt;
    const std::string kept = fmt::format("{}.schema-{}", path, *schema);
    const std::string draft = copy_name(path, "copy");
    ::unlink(draft.c_str());  // left by one that was killed and had our number
    auto copied = copy_database(path, draft);
    if (!copied) return failed(copied.error().while_doing("the copy before a migration"));
    // Of an earlier try that failed: the newer one has all of it.
    if (::rename(draft.c_str(), kept.c_str()) != 0) return failed(errno_error("rename " + draft));
    return kept;
}

Result<Trial> try_migration(const std::string& path, const Clock& clock) {
    const Copy copy{copy_name(path, "try")};
    auto before = copy_database(path, copy.path);
    if (!before) return failed(before.error());
    if (before->schema > newest_schema())
        return fail(Code::Unsupported, "{} has schema {}, this program knows {}", path,
                    before->schema, newest_schema());
    {
        auto db = SqliteDatabase::open(copy.path);
        if (!db) return failed(db.error());
        if (auto done = migrate(**db, clock.now()); !done) return failed(done.error());
    }
    auto after = check_file(copy.path);
    if (!after) return failed(after.error().while_doing("after the migration"));
    return Trial{before->schema, after->schema};
}

Result<std::vector<std::string>> check_database(const std::string& path, const Clock& clock) {
    const Copy copy{copy_name(path, "check")};
    auto state = copy_database(path, copy.path);
    if (!state && state.error().code == Code::Malformed)
        return std::vector<std::string>{state.error().message};
    if (!state) return failed(state.error());
    if (state->schema != newest_schema())
        return fail(Code::Unsupported, "{} has schema {}, this program knows {}: start it once",
                    path, state->schema, newest_schema());
    auto store = open_sqlite(copy.path, clock, Create::No);
    if (!store) return failed(store.error());
    return (*store)->upkeep().check();
}

}  // namespace cvlan::store
