// SPDX-License-Identifier: Apache-2.0
#include "api/verified_tokens.h"

namespace cvlan::api {

Result<void> VerifiedTokens::verify(const std::string& text, const pki::UnverifiedToken& token,
                                    const pki::VerifyKey& key, WallTime now, size_t& checked) {
    // The key is of a fixed size: no other pair of key and text makes the same bytes.
    Bytes both = key.bytes();
    both.insert(both.end(), text.begin(), text.end());
    Bytes hash = sha256(both);
    if (is_known(hash)) return pki::check_expiry(token, now);
    ++checked;
    auto good = pki::verify_token(token, key, now);
    if (good) remember(std::move(hash));
    return good;
}

bool VerifiedTokens::is_known(const Bytes& hash) {
    const std::lock_guard lock(mutex_);
    return known_.contains(hash);
}

void VerifiedTokens::remember(Bytes hash) {
    const std::lock_guard lock(mutex_);
    if (!known_.insert(hash).second) return;
    in_order_.push_back(std::move(hash));
    if (in_order_.size() <= kMost) return;
    known_.erase(in_order_.front());
    in_order_.pop_front();
}

}  // namespace cvlan::api
