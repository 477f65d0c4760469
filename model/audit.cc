// SPDX-License-Identifier: Apache-2.0
#include "model/audit.h"

#include "base/bytes.h"

namespace cvlan::model {

std::string audit_hash(const AuditEntry& entry) {
    std::string text = "cvlan-audit-1";
    const auto add = [&text](std::string_view field) {
        text += fmt::format("{}:", field.size());
        text += field;
    };
    add(entry.tenant_id);
    add(fmt::format("{}", entry.sequence));
    add(fmt::format("{}", unix_ms(entry.at)));
    for (const std::string* field : {&entry.actor, &entry.source, &entry.request_id, &entry.action,
                                     &entry.object_kind, &entry.object_id, &entry.outcome})
        add(*field);
    add(fmt::format("{}", entry.count));
    for (const std::string* field : {&entry.before, &entry.after, &entry.previous_hash})
        add(*field);
    return hex(sha256(as_bytes(text)));
}

std::string encode_anchor(const AuditAnchor& anchor) {
    return fmt::format(R"({{"throughSequence":"{}","hash":"{}"}})", anchor.sequence, anchor.hash);
}

Result<void> AuditChain::take(const AuditEntry& entry) {
    if (!begins_after_) begin_after({entry.sequence - 1, entry.previous_hash});
    if (entry.sequence != last_.sequence + 1)
        return fail(Code::Conflict, "entry {} is missing", last_.sequence + 1);
    if (entry.previous_hash != last_.hash)
        return fail(Code::Conflict, "entry {} does not follow entry {}", entry.sequence,
                    last_.sequence);
    if (audit_hash(entry) != entry.hash)
        return fail(Code::Conflict, "entry {} was changed", entry.sequence);
    if (entry.action == kAuditPruned) pruned_through_ = entry.after;
    last_ = {entry.sequence, entry.hash};
    ++taken_;
    return {};
}

Result<void> AuditChain::finish(const std::optional<AuditAnchor>& head) {
    if (head && head->sequence > last_.sequence)
        return fail(Code::Conflict, "entry {} is missing", last_.sequence + 1);
    if (head && *head != last_)
        return fail(Code::Conflict, "entry {} is not the one that was written", last_.sequence);
    const bool is_cut = begins_after_ && *begins_after_ != AuditAnchor{};
    if (is_cut && pruned_through_ != encode_anchor(*begins_after_))
        return fail(Code::Conflict, "entry {} is missing, and retention did not take it",
                    begins_after_->sequence);
    return {};
}

}  // namespace cvlan::model
