// SPDX-License-Identifier: Apache-2.0
#include "store/jobs.h"

#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kSelect =
    "SELECT id, name, next_run_at, holder, leased_until, started_at, finished_at, succeeded, "
    "result, revision FROM jobs";
constexpr int kPrunedAtOnce = 1000;
constexpr int kTokensAtOnce = 50;

// Maps are made from what is, never from events. Those of endpoints are for other controllers that
// were cut off for a while (who was for longer loads anew), and for webhooks that ask for them.
constexpr std::chrono::hours kKeptEndpoints{1};

Result<int64_t> prune_endpoint_events(Database& db, const std::string& tenant_id, WallTime before) {
    // The kind is no parameter: the index is of this one alone.
    static const std::string text = fmt::format(
        "DELETE FROM events WHERE tenant_id = ?1 AND at < ?2 AND revision IN (SELECT revision FROM "
        "events WHERE tenant_id = ?1 AND kind = {} ORDER BY revision LIMIT ?3)",
        static_cast<int>(EventKind::EndpointsChanged));
    auto gone = db.sql(text, tenant_id, before, kPrunedAtOnce).run();
    if (!gone) return failed(gone.error());
    return db.changes();
}

std::optional<WallTime> time_or_none(const Statement& row, int column) {
    if (row.is_null(column)) return std::nullopt;
    return row.time(column);
}

Job job_row(const Statement& row) {
    return {row.text(0), row.text(1),          row.time(2),          row.text(3),
            row.time(4), time_or_none(row, 5), time_or_none(row, 6), row.integer(7) != 0,
            row.text(8), row.integer(9)};
}

}  // namespace

// Locks the row: nobody takes the job before this transaction has ended.
Result<void> SqlBase::hold_lease() {
    auto held = db_.sql("UPDATE jobs SET leased_until = ? WHERE name = ? AND lease = ?",
                        clock_.now() + Jobs::kLease, lease_->job, lease_->number)
                    .run();
    if (!held) return held;
    if (db_.changes() == 1) return {};
    return fail_as("LEASE_LOST", Code::Conflict,
                   fmt::format("job {}: another controller has taken it over", lease_->job));
}

Result<void> Jobs::ensure(const std::vector<std::string>& names) {
    return store_.write([&]() -> Result<void> {
        const WallTime now = store_.clock_.now();
        for (const std::string& name : names) {
            auto made = store_.db_
                            .sql(
                                "INSERT INTO jobs (id, name, next_run_at) VALUES (?, ?, ?) ON "
                                "CONFLICT DO NOTHING",
                                new_uuid(unix_ms(now)), name, now)
                            .run();
            if (!made) return made;
        }
        return {};
    });
}

Result<Page<Job>> Jobs::list(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return store_.read([&] {
        Statement rows =
            ListQuery(kSelect, filter, "id", "name").where("name = ?", filter.name).run(store_.db_);
        return read_page<Job>(rows, filter, job_row);
    });
}

Result<Job> Jobs::find(const std::string& id) {
    Statement row = store_.db_.sql(fmt::format("{} WHERE id = ?", kSelect), id);
    if (row.next()) return job_row(row);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "job {}: not found", printable(id));
}

Result<Job> Jobs::job(const std::string& id) {
    return store_.read([&] { return find(id); });
}

Result<Job> Jobs::request_run(const std::string& id) {
    return store_.write([&]() -> Result<Job> {
        auto job = find(id);
        if (!job) return job;
        if (auto match = check_match(store_.cause_, job->revision); !match)
            return failed(match.error());
        auto moved = store_.db_
                         .sql(
                             "UPDATE jobs SET next_run_at = ?, revision = revision + 1 WHERE id = "
                             "?",
                             store_.clock_.now(), id)
                         .run();
        if (!moved) return failed(moved.error());
        store_.draft_without_event(
            {.action = "JOB_REQUESTED", .object_kind = "job", .object_id = id});
        return find(id);
    });
}

Result<std::optional<Lease>> Jobs::take(const std::string& name, const std::string& holder) {
    return store_.write([&]() -> Result<std::optional<Lease>> {
        const WallTime now = store_.clock_.now();
        Statement taken = store_.db_.sql(
            "UPDATE jobs SET lease = lease + 1, revision = revision + 1, holder = ?, leased_until "
            "= ?, started_at = ? WHERE "
            "name = ? AND next_run_at <= ? AND leased_until <= ? RETURNING lease",
            holder, now + kLease, now, name, now, now);
        std::optional<Lease> lease;
        if (taken.next()) lease = Lease{name, taken.integer(0)};
        if (taken.error()) return failed(*taken.error());
        return lease;
    });
}

Result<void> Jobs::finish(const Lease& lease, const JobEnd& end) {
    return store_.write([&]() -> Result<void> {
        auto done = store_.db_
                        .sql(
                            "UPDATE jobs SET revision = revision + 1, holder = '', leased_until = "
                            "0, finished_at = ?, succeeded = ?, result = ?, next_run_at = ? WHERE "
                            "name = ? AND "
                            "lease = ?",
                            store_.clock_.now(), end.has_succeeded, end.result, end.next_run_at,
                            lease.job, lease.number)
                        .run();
        if (!done) return done;
        if (store_.db_.changes() == 1) return {};
        return fail_as("LEASE_LOST", Code::Conflict,
                       fmt::format("job {}: another controller has taken it over", lease.job));
    });
}

Result<std::vector<std::string>> Jobs::audit_chains() { return store_.chains_of({}); }

// The oldest at a time: nothing is searched through where none is old enough.
Result<int64_t> Jobs::prune_events(const std::string& tenant_id, WallTime before) {
    return store_.write([&]() -> Result<int64_t> {
        auto endpoints = prune_endpoint_events(
            store_.db_, tenant_id, std::max(before, store_.clock_.now() - kKeptEndpoints));
        if (!endpoints || *endpoints > 0) return endpoints;
        auto gone = store_.db_
                        .sql(
                            "DELETE FROM events WHERE tenant_id = ?1 AND at < ?2 AND revision IN "
                            "(SELECT revision FROM events WHERE tenant_id = ?1 ORDER BY revision "
                            "LIMIT ?3)",
                            tenant_id, before, kPrunedAtOnce)
                        .run();
        if (!gone) return failed(gone.error());
        return store_.db_.changes();
    });
}

Result<int64_t> Jobs::prune_tokens(WallTime expired_before) {
    auto keys = store_.read([&]() -> Result<std::vector<Key>> {
        std::vector<Key> old;
        Statement rows = store_.db_.sql(
            "SELECT tenant_id, id FROM tokens WHERE expires_at < ? ORDER BY expires_at LIMIT ?",
            expired_before, kTokensAtOnce);
        while (rows.next()) old.push_back({rows.text(0), rows.text(1)});
        if (rows.error()) return failed(*rows.error());
        return old;
    });
    if (!keys) return failed(keys.error());
    for (const Key& key : *keys) {
        auto gone = store_.delete_token(key);
        // Somebody else was quicker.
        if (!gone && gone.error().code != Code::NotFound) return failed(gone.error());
    }
    return static_cast<int64_t>(keys->size());
}

Result<bool> Jobs::has_due_nodes(WallTime up_since) {
    return store_.read([&]() -> Result<bool> {
        Statement row = store_.db_.sql(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM nodes WHERE ephemeral_ms IS NOT NULL AND "
            "COALESCE(last_seen_at, enrolled_at, created_at) + ephemeral_ms <= ?1 AND ?2 + "
            "ephemeral_ms <= ?1) "
            "OR EXISTS (SELECT 1 FROM nodes WHERE key_expires_at IS NOT NULL AND state IN (0, 3) "
            "AND key_expires_at <= ?1)",
            store_.clock_.now(), up_since);
        const bool is_there = row.next();
        if (row.error()) return failed(*row.error());
        return is_there;
    });
}

Result<int64_t> Jobs::certificates_ending(WallTime before) {
    return store_.read([&]() -> Result<int64_t> {
        Statement row = store_.db_.sql(
            "SELECT count(*) FROM nodes WHERE certificate_expires_at < ? AND state = ?", before,
            model::NodeState::Active);
        const int64_t count = row.next() ? row.integer(0) : 0;
        if (row.error()) return failed(*row.error());
        return count;
    });
}

}  // namespace cvlan::store
