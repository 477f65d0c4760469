// SPDX-License-Identifier: Apache-2.0
// The audit's rows: written in the transaction of the change, each chained to the one before.
#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "store/event_names.h"
#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kSelect =
    "SELECT tenant_id, sequence, at, actor, source, request_id, action, object_kind, object_id, "
    "outcome, count, before_json, after_json, previous_hash, hash FROM audit";
constexpr const char* kUnavailable = "AUDIT_UNAVAILABLE";
constexpr size_t kReadAtOnce = 100;
constexpr int kVerifiedAtOnce = 500;
constexpr int kPrunedAtOnce = 1000;  // writers wait for it

// What is sent while this lives is the audit's: its failure refuses the change for that reason.
class Blaming {
public:
    explicit Blaming(Database& db) : db_(db) { db_.blame(kUnavailable); }
    Blaming(const Blaming&) = delete;
    Blaming& operator=(const Blaming&) = delete;
    ~Blaming() { db_.blame(nullptr); }

private:
    Database& db_;
};

model::AuditEntry audit_row(const Statement& row) {
    model::AuditEntry entry;
    entry.tenant_id = row.text(0);
    entry.sequence = row.integer(1);
    entry.at = row.time(2);
    entry.actor = row.text(3);
    entry.source = row.text(4);
    entry.request_id = row.text(5);
    entry.action = row.text(6);
    entry.object_kind = row.text(7);
    entry.object_id = row.text(8);
    entry.outcome = row.text(9);
    entry.count = row.integer(10);
    entry.before = row.text(11);
    entry.after = row.text(12);
    entry.previous_hash = row.text(13);
    entry.hash = row.text(14);
    return entry;
}

// What the audit says of who acts.
model::AuditEntry entry_of(const Cause& cause, WallTime at) {
    model::AuditEntry entry;
    entry.at = at;
    entry.actor = cause.actor;
    entry.source = cause.source;
    entry.request_id = cause.request_id;
    return entry;
}

// At most `count` that come after that one.
Result<std::vector<model::AuditEntry>> read_entries(Database& db, const AuditFilter& filter,
                                                    int64_t after, size_t count) {
    std::string text = fmt::format("{} WHERE tenant_id = ? AND sequence > ?", kSelect);
    if (filter.actor) text += " AND actor = ?";
    if (filter.action) text += " AND action = ?";
    if (filter.object_id) text += " AND object_id = ?";
    if (filter.since) text += " AND at >= ?";
    if (filter.until) text += " AND at < ?";
    Statement rows = db.sql(text + " ORDER BY sequence LIMIT ?", filter.tenant_id, after);
    for (const auto& value : {filter.actor, filter.action, filter.object_id})
        if (value) rows.bind(*value);
    for (const auto& time : {filter.since, filter.until})
        if (time) rows.bind(*time);
    rows.bind(count);
    std::vector<model::AuditEntry> entries;
    while (rows.next()) entries.push_back(audit_row(rows));
    if (rows.error()) return failed(*rows.error());
    return entries;
}

// In slices, since PostgreSQL hands over all rows at once. A page ends early with the entry that
// makes it too big.
Result<void> fill_audit_page(Database& db, const AuditFilter& filter, int64_t after,
                             AuditPage& page) {
    const auto most = static_cast<size_t>(filter.page_size);
    size_t bytes = 0;
    for (bool goes_on = true; goes_on;) {
        const size_t asked = std::min(kReadAtOnce, most + 1 - page.items.size());
        auto slice = read_entries(db, filter, after, asked);
        if (!slice) return failed(slice.error());
        goes_on = slice->size() == asked;
        for (model::AuditEntry& entry : *slice) {
            if (page.items.size() == most || bytes >= kPageBytes) {
                page.next_page_token = fmt::format("{}", page.items.back().sequence);
                return {};
            }
            after = entry.sequence;
            bytes += entry.before.size() + entry.after.size();
            page.items.push_back(std::move(entry));
        }
    }
    return {};
}

}  // namespace

// Where a chain goes on. Nobody else writes until the transaction ends, and so nobody appends.
Result<model::AuditAnchor> SqlBase::end_of_chain(const std::string& tenant_id) {
    const Blaming blaming(db_);
    auto head = audit_head(tenant_id);
    if (!head) return fail_as(kUnavailable, Code::Unavailable, head.error().message);
    return std::move(head->last);
}

Result<void> SqlBase::append_audit(std::vector<model::AuditEntry> entries) {
    if (entries.empty()) return {};
    const std::string& tenant_id = entries.front().tenant_id;
    auto known = std::exchange(Engine::work().chain, std::nullopt);
    auto last = known && known->tenant_id == tenant_id
                    ? Result<model::AuditAnchor>(std::move(known->last))
                    : end_of_chain(tenant_id);
    if (!last) return failed(last.error());
    const Blaming blaming(db_);
    for (model::AuditEntry& entry : entries) {
        entry.sequence = last->sequence + 1;
        entry.previous_hash = last->hash;
        entry.hash = model::audit_hash(entry);
        *last = {entry.sequence, entry.hash};
    }
    static const RowInsert insert(
        "INSERT INTO audit (tenant_id, sequence, at, actor, source, request_id, action, "
        "object_kind, object_id, outcome, count, before_json, after_json, previous_hash, hash)",
        15);
    auto written = insert.run(db_, entries.size(), [&](Statement& row, size_t i) {
        const model::AuditEntry& entry = entries[i];
        row.bind(entry.tenant_id).bind(entry.sequence).bind(entry.at).bind(entry.actor);
        row.bind(entry.source).bind(entry.request_id).bind(entry.action).bind(entry.object_kind);
        row.bind(entry.object_id).bind(entry.outcome).bind(entry.count).bind(entry.before);
        row.bind(entry.after).bind(entry.previous_hash).bind(entry.hash);
    });
    if (!written) return failed(written.error().while_doing("audit"));
    auto moved = db_.sql(
                        "INSERT INTO audit_heads (tenant_id, sequence, hash, pruned_sequence, "
                        "pruned_hash) VALUES (?, ?, ?, 0, '') ON CONFLICT (tenant_id) DO UPDATE "
                        "SET sequence = excluded.sequence, hash = excluded.hash",
                        tenant_id, last->sequence, last->hash)
                     .run();
    if (!moved) return failed(moved.error().while_doing("audit"));
    return {};
}

void SqlBase::draft(const Event& event, std::string before) {
    const EventName name = name_of(event.kind);
    model::AuditEntry entry = entry_of(cause_, event.at);
    entry.tenant_id = event.tenant_id;
    entry.action = name.name;
    entry.object_kind = name.object_kind;
    entry.object_id = event.object_id;
    entry.outcome = model::kAuditOk;
    entry.before = std::move(before);
    drafts().push_back(std::move(entry));
}

// `what` says all but who and when.
void SqlBase::draft_without_event(const model::AuditEntry& what) {
    model::AuditEntry entry = entry_of(cause_, clock_.now());
    entry.tenant_id = what.tenant_id;
    entry.action = what.action;
    entry.object_kind = what.object_kind;
    entry.object_id = what.object_id;
    entry.before = what.before;
    entry.after = what.after;
    entry.outcome = model::kAuditOk;
    drafts().push_back(std::move(entry));
}

// At the end of a body. Where this fails so does the change: what can not be audited is not done.
Result<void> SqlBase::append_drafts() {
    if (!drafts().empty() && cause_.idempotency)
        if (auto spent = spend_key(); !spent) return spent;
    auto& drafts = Engine::work().drafts;
    while (!drafts.empty()) {
        const std::string tenant_id = drafts.front().tenant_id;
        const auto rest =
            std::stable_partition(drafts.begin(), drafts.end(),
                                  [&](const auto& entry) { return entry.tenant_id == tenant_id; });
        std::vector<model::AuditEntry> entries(std::make_move_iterator(drafts.begin()),
                                               std::make_move_iterator(rest));
        drafts.erase(drafts.begin(), rest);
        if (auto appended = append_audit(std::move(entries)); !appended)
            return fail_as(kUnavailable, Code::Unavailable, appended.error().message);
    }
    return {};
}

Result<void> SqlStore::record_refusals(const std::vector<Refusal>& refusals) {
    return write([&]() -> Result<void> {
        // By tenant in a fixed order: two writers never wait for each other's chains.
        std::map<std::string, std::vector<model::AuditEntry>> chains;
        for (const Refusal& refusal : refusals) {
            model::AuditEntry entry = entry_of(refusal.cause, refusal.at);
            entry.tenant_id = refusal.tenant_id;
            entry.action = refusal.action;
            entry.object_id = refusal.object_id;
            entry.outcome = refusal.outcome;
            entry.count = refusal.count;
            chains[entry.tenant_id].push_back(std::move(entry));
        }
        for (auto& [tenant_id, entries] : chains)
            if (auto appended = append_audit(std::move(entries)); !appended) return appended;
        return {};
    });
}

Result<AuditHead> SqlBase::audit_head(const std::string& tenant_id) {
    Statement row = db_.sql(
        "SELECT sequence, hash, pruned_sequence, pruned_hash FROM audit_heads WHERE tenant_id = ?",
        tenant_id);
    AuditHead head;
    if (row.next()) head = {{row.integer(0), row.text(1)}, {row.integer(2), row.text(3)}};
    if (row.error()) return failed(*row.error());
    return head;
}

Result<AuditPage> SqlStore::audit(const AuditFilter& filter) {
    if (filter.page_size < 1 || filter.page_size > 1000)
        return fail(Code::Invalid, "page size: must be from 1 to 1000");
    auto after = number_of(filter.page_token);
    if (!after) return failed(after.error());
    return read([&]() -> Result<AuditPage> {
        auto head = audit_head(filter.tenant_id);
        if (!head) return failed(head.error());
        AuditPage page;
        page.head = head->last;
        if (auto filled = fill_audit_page(db_, filter, *after, page); !filled)
            return failed(filled.error());
        return page;
    });
}

// In slices, so that a long chain keeps no writer waiting. Entries that come meanwhile are not
// looked at.
Result<AuditVerdict> SqlBase::verify_chain(const std::string& tenant_id) {
    auto head = read([&] { return audit_head(tenant_id); });
    if (!head) return failed(head.error());
    AuditVerdict verdict{tenant_id, 0, head->last, {}};
    model::AuditChain chain;
    const auto judge = [&](const Result<void>& good) {
        if (!good && verdict.fault.empty()) verdict.fault = good.error().message;
        return good.has_value();
    };
    chain.begin_after(head->pruned);
    bool goes_on = true;
    int64_t after = 0;
    const bool has_head = head->last.sequence > 0;
    const int64_t last = has_head ? head->last.sequence : std::numeric_limits<int64_t>::max();
    while (goes_on) {
        auto slice = read([&]() -> Result<std::vector<model::AuditEntry>> {
            std::vector<model::AuditEntry> entries;
            Statement rows = db_.sql(fmt::format("{} WHERE tenant_id = ? AND sequence > ? AND "
                                                 "sequence <= ? ORDER BY sequence LIMIT ?",
                                                 kSelect),
                                     tenant_id, after, last, kVerifiedAtOnce);
            while (rows.next()) entries.push_back(audit_row(rows));
            if (rows.error()) return failed(*rows.error());
            return entries;
        });
        if (!slice) return failed(slice.error());
        if (slice->empty()) break;
        after = slice->back().sequence;
        for (const model::AuditEntry& entry : *slice)
            if (goes_on) goes_on = judge(chain.take(entry));
    }
    if (goes_on) judge(chain.finish(head->last));
    verdict.entries = chain.taken();
    return verdict;
}

Result<std::vector<AuditVerdict>> SqlStore::verify_audit(const Scope& scope) {
    // Retention may cut it again and again while it is read, and its first entry may come.
    const auto verify_settled = [this](const std::string& tenant_id) -> Result<AuditVerdict> {
        for (int64_t pruned = -1;;) {
            auto verdict = verify_chain(tenant_id);
            if (!verdict || verdict->fault.empty()) return verdict;
            auto head = read([&] { return audit_head(tenant_id); });
            if (!head) return failed(head.error());
            if (head->pruned.sequence == pruned) return verdict;
            pruned = head->pruned.sequence;
        }
    };
    auto chains = chains_of(scope);
    if (!chains) return failed(chains.error());
    std::vector<AuditVerdict> verdicts;
    for (const std::string& tenant_id : *chains) {
        auto verdict = verify_settled(tenant_id);
        if (!verdict) return failed(verdict.error());
        verdicts.push_back(std::move(*verdict));
    }
    return verdicts;
}

Result<std::vector<std::string>> SqlBase::chains_of(const Scope& scope) {
    if (scope) return std::vector<std::string>{*scope};
    return read([&]() -> Result<std::vector<std::string>> {
        std::vector<std::string> ids;
        // A chain without its head is one that somebody has cut off.
        Statement rows = db_.sql(
            "SELECT tenant_id FROM audit_heads UNION SELECT tenant_id FROM audit UNION "
            "SELECT id FROM tenants ORDER BY 1");
        while (rows.next()) ids.push_back(rows.text(0));
        if (rows.error()) return failed(*rows.error());
        return ids;
    });
}

Result<int64_t> SqlStore::prune_audit(const std::string& tenant_id, WallTime before) {
    return write([&]() -> Result<int64_t> {
        auto head = audit_head(tenant_id);
        if (!head) return failed(head.error());
        int64_t through =
            std::min(head->last.sequence, head->pruned.sequence + int64_t{kPrunedAtOnce});
        // Up to the first that is kept: a clock which went back leaves no hole.
        Statement kept = db_.sql(
            "SELECT min(sequence) FROM audit WHERE tenant_id = ? AND at >= ? AND sequence <= ?",
            tenant_id, before, through);
        if (kept.next() && !kept.is_null(0)) through = kept.integer(0) - 1;
        if (kept.error()) return failed(*kept.error());
        if (through <= head->pruned.sequence) return 0;

        Statement last = db_.sql("SELECT hash FROM audit WHERE tenant_id = ? AND sequence = ?",
                                 tenant_id, through);
        if (!last.next())
            return fail(Code::Conflict, "audit of {}: entry {} is missing", tenant_id, through);
        return cut_chain(tenant_id, {through, last.text(0)});
    });
}

// What is taken away is named by an entry of the chain that remains.
Result<int64_t> SqlBase::cut_chain(const std::string& tenant_id,
                                   const model::AuditAnchor& through) {
    auto gone = db_.sql("DELETE FROM audit WHERE tenant_id = ? AND sequence <= ?", tenant_id,
                        through.sequence)
                    .run();
    if (!gone) return failed(gone.error());
    const int64_t count = db_.changes();
    auto anchored = db_.sql(
                           "UPDATE audit_heads SET pruned_sequence = ?, pruned_hash = ? WHERE "
                           "tenant_id = ?",
                           through.sequence, through.hash, tenant_id)
                        .run();
    if (!anchored) return failed(anchored.error());
    model::AuditEntry entry = entry_of(cause_, clock_.now());
    entry.tenant_id = tenant_id;
    entry.action = model::kAuditPruned;
    entry.outcome = model::kAuditOk;
    entry.count = count;
    entry.after = model::encode_anchor(through);
    if (auto appended = append_audit({std::move(entry)}); !appended)
        return failed(appended.error());
    return count;
}

}  // namespace cvlan::store
