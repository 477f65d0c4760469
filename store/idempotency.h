// SPDX-License-Identifier: Apache-2.0
#pragma once

// Requests that are repeated under one key and take effect once. The key is spent in the
// transaction of the change that it was sent for (Cause::idempotency), so that there is no moment
// at which one is on disk and the other not; the answer is added when there is one. Both are known
// for a day. A key is of the one who acts.

#include <chrono>
#include <optional>
#include <string>

#include "base/result.h"
#include "store/key.h"

namespace cvlan::store {

class SqlStore;

// A change with a key that another request has spent meanwhile is Conflict of this reason.
inline constexpr const char* kIdempotencyInProgress = "IDEMPOTENCY_IN_PROGRESS";

struct SpentKey {
    std::string request_hash;
    std::string request_id;
    std::string answer;  // as it was kept; empty: not yet, or never
};

class Idempotency {
public:
    static constexpr std::chrono::hours kKept{24};

    explicit Idempotency(SqlStore& store) : store_(store) {}
    Result<std::optional<SpentKey>> find(const std::string& key_hash);
    Result<void> keep_answer(const std::string& key_hash, const std::string& answer);

    // Takes away what is older than that, in slices: tells how many rows went, 0 at the end.
    Result<int64_t> prune();

private:
    SqlStore& store_;
};

}  // namespace cvlan::store
