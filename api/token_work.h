// SPDX-License-Identifier: Apache-2.0
#pragma once

// Somebody whose registration token is refused is not to learn why from how long that took (F21).
// So each refusal does all that the last one would have done: the same reads of the store, the same
// checks of signatures, and the transaction that would have spent the token.

#include <functional>
#include <string>

#include "api/context.h"

namespace cvlan::api {

// What somebody hears of a token that a key of ours made and that is good no more; model's reason,
// which says why, is for audit, log and metrics.
inline constexpr const char* kTokenGone = "TOKEN_GONE";

// What was done of it.
struct TokenWork {
    size_t key_reads = 0;
    size_t signatures = 0;
    size_t requests = 0;      // certificate requests that were read
    size_t transactions = 0;  // of the store
};

// Does what is missing of the reading of a key and of a signature; `text` is the token.
void level_checks(Context& context, const std::string& text, TokenWork& done);

// And of the rest. `csr` is null where none belongs to it. `transact` is refused by the store, as
// what it gets is nobody's.
using Transact = std::function<void(const store::Joining& nobody)>;
void level_all(Context& context, const std::string& text, const std::string* csr,
               const Transact& transact, TokenWork& done);

}  // namespace cvlan::api
