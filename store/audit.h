// SPDX-License-Identifier: Apache-2.0
#pragma once

// What goes into and comes out of the Store's verbs of the audit.

#include <optional>
#include <string>

#include "model/audit.h"
#include "store/types.h"

namespace cvlan::store {

// What was not allowed, or not possible, and so left no event.
struct Refusal {
    std::string tenant_id{};  // empty: of no tenant, or of one that nobody proved
    Cause cause{};
    std::string action{};  // "POST /api/v1/enrol"
    std::string object_id{};
    std::string outcome{};  // the problem's code
    int64_t count = 1;
    WallTime at{};
};

// Of one chain.
struct AuditFilter {
    std::string tenant_id{};  // empty: the operator's own
    std::optional<std::string> actor{};
    std::optional<std::string> action{};
    std::optional<std::string> object_id{};
    std::optional<WallTime> since{};  // at or after
    std::optional<WallTime> until{};  // before
    int page_size = 100;              // 1 to 1000
    std::string page_token{};
};

struct AuditPage {
    std::vector<model::AuditEntry> items;  // oldest first
    std::string next_page_token;
    model::AuditAnchor head;  // the chain's last entry
};

// The ends of a chain.
struct AuditHead {
    model::AuditAnchor last;
    model::AuditAnchor pruned;  // the last that retention took
};

struct AuditVerdict {
    std::string tenant_id;
    int64_t entries = 0;
    model::AuditAnchor head{};
    std::string fault;  // empty: the chain is whole
};

}  // namespace cvlan::store
