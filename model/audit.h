// SPDX-License-Identifier: Apache-2.0
#pragma once

// The audit's entries and the chain that they make: who did what, what it changed, and what was
// refused. A changed, missing or added entry breaks the chain.

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace cvlan::model {

inline constexpr const char* kAuditOk = "OK";
// The entry that retention leaves behind; its `after` is an AuditAnchor.
inline constexpr const char* kAuditPruned = "AUDIT_PRUNED";

struct AuditEntry {
    std::string tenant_id{};  // empty: the operator's own chain
    int64_t sequence = 0;     // from 1, without gaps
    WallTime at{};
    std::string actor{};        // "operator:0", "user:<id>", "node:<id>", "system", "anonymous"
    std::string source{};       // the address it came from, "unix", or empty
    std::string request_id{};   // of the first one, where several stand here as one
    std::string action{};       // of a change its event's kind; of a refused attempt its route
    std::string object_kind{};  // "network"; empty where the object is not known
    std::string object_id{};
    std::string outcome{};  // OK, or the code of the refusal
    int64_t count = 1;      // like attempts of one moment are one entry
    std::string before{};   // JSON of the object; empty where there is none
    std::string after{};
    std::string previous_hash{};  // of the entry before, empty at the first
    std::string hash{};           // of this one
};

// Lower hex SHA-256 of "cvlan-audit-1" and every field but the hash, in the order above, each as
// "<length in bytes>:<bytes>"; numbers are decimal, the time in milliseconds since 1970.
std::string audit_hash(const AuditEntry& entry);

// The last entry that is not there any more: the chain goes on from it.
struct AuditAnchor {
    int64_t sequence = 0;
    std::string hash;
    bool operator==(const AuditAnchor&) const = default;
};
std::string encode_anchor(const AuditAnchor& anchor);

// Takes the entries of one chain in their order and says what is wrong with it. Where the first is
// not entry 1, an AUDIT_PRUNED entry further on must name the one before it.
class AuditChain {
public:
    // Which entry must come first is known. Without it the first one taken is the first.
    void begin_after(const AuditAnchor& anchor) { begins_after_ = last_ = anchor; }
    // Code::Conflict names the entry that was changed, or the first that is missing.
    Result<void> take(const AuditEntry& entry);
    // At the end; `head` is the last entry there must be, where that is known.
    Result<void> finish(const std::optional<AuditAnchor>& head);

    int64_t taken() const { return taken_; }
    const AuditAnchor& last() const { return last_; }

private:
    int64_t taken_ = 0;
    AuditAnchor last_;
    std::optional<AuditAnchor> begins_after_;
    std::string pruned_through_;  // what the last AUDIT_PRUNED entry says
};

}  // namespace cvlan::model
