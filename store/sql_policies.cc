// SPDX-License-Identifier: Apache-2.0
#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kSelect =
    "SELECT tenant_id, id, name, description, number, active_number, revision, created_at FROM "
    "policies";
constexpr int64_t kMostOfATenant = 100;
constexpr int kMostRevisions = 100;      // of a page
constexpr int64_t kKeptRevisions = 100;  // of a document, beside the newest
constexpr int64_t kKeptBytes = 8 << 20;

model::Policy policy_row(const Statement& row) {
    model::Policy policy;
    policy.tenant_id = row.text(0);
    policy.id = row.text(1);
    policy.name = row.text(2);
    policy.description = row.text(3);
    policy.number = row.integer(4);
    if (!row.is_null(5)) policy.active_number = row.integer(5);
    policy.revision = row.integer(6);
    policy.created_at = row.time(7);
    return policy;
}

Result<std::string> source_of(Database& db, const Key& policy, int64_t number) {
    Statement row = db.sql(
        "SELECT source FROM policy_revisions WHERE tenant_id = ? AND policy_id = ? AND number = ?",
        policy.tenant_id, policy.id, number);
    if (row.next()) return row.text(0);
    if (row.error()) return failed(*row.error());
    return fail(Code::Internal, "policy {} has no revision {}", policy.id, number);
}

Result<size_t> load_source(Database& db, model::Policy& policy) {
    auto source = source_of(db, {policy.tenant_id, policy.id}, policy.number);
    if (!source) return failed(source.error());
    policy.source = std::move(*source);
    return policy.source.size();
}

Result<void> check_policy(const model::Policy& policy) {
    if (auto good = model::check_name("name", policy.name); !good) return good;
    if (auto good = check_description(policy.description); !good) return good;
    if (is_utf8(policy.source) && policy.source.size() <= 256 * 1024) return {};
    return failed(Error{Code::Invalid, "source: must be UTF-8 and at most 256 KiB", 0, "/source"});
}

Result<void> check_free(Database& db, const model::Policy& policy) {
    Statement taken = db.sql("SELECT 1 FROM policies WHERE tenant_id = ? AND name = ? AND id <> ?",
                             policy.tenant_id, policy.name, policy.id);
    if (taken.next()) return fail(Code::Exists, "policy name '{}' is taken", policy.name);
    if (taken.error()) return failed(*taken.error());
    return {};
}

// Old ones are forgotten.
Result<void> check_number(Database& db, const model::Policy& policy, int64_t number) {
    if (number == 0) return {};
    Statement row = db.sql(
        "SELECT 1 FROM policy_revisions WHERE tenant_id = ? AND policy_id = ? AND number = ?",
        policy.tenant_id, policy.id, number);
    if (row.next()) return {};
    if (row.error()) return failed(*row.error());
    return failed(Error{Code::Invalid,
                        fmt::format("number: policy '{}' has no revision {}", policy.name, number),
                        0, "/number"});
}

// What a document was has an end, in rows and in size: a tenant fills no disk with it.
Result<void> forget_old_sources(Database& db, const model::Policy& policy, int64_t newest) {
    return db
        .sql(
            "DELETE FROM policy_revisions WHERE tenant_id = ?1 AND policy_id = ?2 AND number < ?3 "
            "AND number <> ?4 AND number IN (SELECT number FROM (SELECT number, "
            "sum(size) "
            "OVER (ORDER BY number DESC) AS held FROM policy_revisions WHERE tenant_id = ?1 AND "
            "policy_id = ?2) AS sizes WHERE number < ?3 - ?5 OR held > ?6)",
            policy.tenant_id, policy.id, newest, policy.active_number.value_or(0), kKeptRevisions,
            kKeptBytes)
        .run();
}

// As public_text. The source is in the history, under its number.
std::string text_of(model::Policy policy) {
    policy.source.clear();
    return public_text(policy);
}

}  // namespace

Result<model::Policy> SqlPolicies::find(const Scope& scope, const std::string& id) {
    Statement row = store_.db_.sql(
        fmt::format("{} WHERE id = ?{}", kSelect, scope ? " AND tenant_id = ?" : ""), id);
    if (scope) row.bind(*scope);
    if (!row.next()) {
        if (row.error()) return failed(*row.error());
        return fail(Code::NotFound, "policy {}: not found", printable(id));
    }
    model::Policy policy = policy_row(row);
    if (auto loaded = load_source(store_.db_, policy); !loaded) return failed(loaded.error());
    return policy;
}

Result<void> SqlPolicies::put_source(const model::Policy& policy, int64_t number) {
    return store_.db_
        .sql(
            "INSERT INTO policy_revisions (tenant_id, policy_id, number, source, size, "
            "created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
            policy.tenant_id, policy.id, number, policy.source, policy.source.size(),
            store_.clock_.now(), store_.cause_.actor)
        .run();
}

Result<model::Policy> SqlPolicies::changed(const Key& key) {
    auto now = find(key.tenant_id, key.id);
    if (now) Engine::work().drafts.back().after = text_of(*now);
    return now;
}

Result<model::Policy> SqlPolicies::create(const model::Policy& wanted) {
    if (auto good = check_policy(wanted); !good) return failed(good.error());
    return store_.write([&]() -> Result<model::Policy> {
        model::Policy policy = wanted;
        policy.id = new_uuid(unix_ms(store_.clock_.now()));
        auto revision = store_.record({policy.tenant_id, policy.id}, EventKind::PolicyCreated, {});
        if (!revision) return failed(revision.error());
        if (auto free = check_free(store_.db_, policy); !free) return failed(free.error());
        auto made = store_.db_
                        .sql(
                            "INSERT INTO policies (tenant_id, id, name, description, number, "
                            "revision, created_at) VALUES (?, ?, ?, ?, 1, ?, ?)",
                            policy.tenant_id, policy.id, policy.name, policy.description, *revision,
                            store_.clock_.now())
                        .run();
        if (!made) return failed(made.error());
        Statement held =
            store_.db_.sql("SELECT count(*) FROM policies WHERE tenant_id = ?", policy.tenant_id);
        if (auto room = check_room(held, kMostOfATenant, "policies"); !room)
            return failed(room.error());
        if (auto put = put_source(policy, 1); !put) return failed(put.error());
        return changed({policy.tenant_id, policy.id});
    });
}

Result<Page<model::Policy>> SqlPolicies::list(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return store_.read([&]() -> Result<Page<model::Policy>> {
        Statement rows = ListQuery(kSelect, filter, "id", "name")
                             .where("tenant_id = ?", filter.tenant)
                             .where("name = ?", filter.name)
                             .run(store_.db_);
        auto page = read_page<model::Policy>(rows, filter, policy_row);
        if (!page) return page;
        return fill_page(
            std::move(*page),
            [&](model::Policy& policy) { return load_source(store_.db_, policy); },
            [&](const model::Policy& last) { return token_after(last, filter); });
    });
}

Result<model::Policy> SqlPolicies::get(const Scope& scope, const std::string& id) {
    return store_.read([&] { return find(scope, id); });
}

Result<model::Policy> SqlPolicies::update(const model::Policy& wanted) {
    if (auto good = check_policy(wanted); !good) return failed(good.error());
    const Key key{wanted.tenant_id, wanted.id};
    return store_.write([&]() -> Result<model::Policy> {
        auto before = find(wanted.tenant_id, wanted.id);
        if (!before) return before;
        if (auto match = check_match(store_.cause_, before->revision); !match)
            return failed(match.error());
        if (auto free = check_free(store_.db_, wanted); !free) return failed(free.error());
        auto revision = store_.record(key, EventKind::PolicyChanged, {}, text_of(*before));
        if (!revision) return failed(revision.error());
        const bool is_new_source = wanted.source != before->source;
        const int64_t number = before->number + (is_new_source ? 1 : 0);
        if (is_new_source) {
            auto put = put_source(wanted, number);
            if (put) put = forget_old_sources(store_.db_, *before, number);
            if (!put) return failed(put.error());
        }
        auto done =
            store_.db_
                .sql(
                    "UPDATE policies SET name = ?, description = ?, number = ?, revision = "
                    "? WHERE tenant_id = ? AND id = ?",
                    wanted.name, wanted.description, number, *revision, wanted.tenant_id, wanted.id)
                .run();
        if (!done) return failed(done.error());
        return changed(key);
    });
}

Result<Revision> SqlPolicies::remove(const Key& key) {
    return store_.write([&]() -> Result<Revision> {
        auto policy = find(key.tenant_id, key.id);
        if (!policy) return failed(policy.error());
        if (auto match = check_match(store_.cause_, policy->revision); !match)
            return failed(match.error());
        if (policy->active_number)
            return fail(Code::Conflict, "policy '{}' is in force", policy->name);
        auto revision = store_.record(key, EventKind::PolicyDeleted, {}, text_of(*policy));
        if (!revision) return revision;
        auto done =
            store_.db_
                .sql("DELETE FROM policies WHERE tenant_id = ? AND id = ?", key.tenant_id, key.id)
                .run();
        if (!done) return failed(done.error());
        return revision;
    });
}

// No more of them than a page may hold: the newest are there in any case.
Result<std::vector<model::PolicyRevision>> SqlPolicies::revisions(const Key& key) {
    return store_.read([&]() -> Result<std::vector<model::PolicyRevision>> {
        auto policy = find(key.tenant_id, key.id);
        if (!policy) return failed(policy.error());
        Page<model::PolicyRevision> page;
        Statement rows = store_.db_.sql(
            "SELECT number, created_at, created_by FROM policy_revisions WHERE tenant_id = ? AND "
            "policy_id = ? ORDER BY number DESC LIMIT ?",
            key.tenant_id, key.id, kMostRevisions);
        while (rows.next())
            page.items.push_back({rows.integer(0), "", rows.time(1), rows.text(2),
                                  policy->active_number == rows.integer(0)});
        if (rows.error()) return failed(*rows.error());
        const auto load = [&](model::PolicyRevision& revision) -> Result<size_t> {
            auto source = source_of(store_.db_, key, revision.number);
            if (!source) return failed(source.error());
            revision.source = std::move(*source);
            return revision.source.size();
        };
        auto filled = fill_page(std::move(page), load,
                                [](const model::PolicyRevision&) { return std::string(); });
        if (!filled) return failed(filled.error());
        return std::move(filled->items);
    });
}

Result<model::Policy> SqlPolicies::activate(const Key& key, int64_t number) {
    return store_.write([&]() -> Result<model::Policy> {
        auto policy = find(key.tenant_id, key.id);
        if (!policy) return policy;
        if (auto match = check_match(store_.cause_, policy->revision); !match)
            return failed(match.error());
        if (auto good = check_number(store_.db_, *policy, number); !good)
            return failed(good.error());
        if (policy->active_number.value_or(0) == number) return policy;
        auto revision = store_.record(key, EventKind::PolicyChanged, {}, text_of(*policy));
        if (!revision) return failed(revision.error());
        // The one that was in force is changed by that too.
        auto done =
            store_.db_
                .sql(
                    "UPDATE policies SET active_number = NULL, revision = ? WHERE tenant_id "
                    "= ? AND active_number IS NOT NULL AND id <> ?",
                    *revision, key.tenant_id, key.id)
                .run();
        if (!done) return failed(done.error());
        const auto active = number == 0 ? std::nullopt : std::optional<int64_t>(number);
        done =
            store_.db_
                .sql(
                    "UPDATE policies SET active_number = ?, revision = ? WHERE tenant_id = ? AND "
                    "id = ?",
                    active, *revision, key.tenant_id, key.id)
                .run();
        if (!done) return failed(done.error());
        return changed(key);
    });
}

}  // namespace cvlan::store
