// SPDX-License-Identifier: Apache-2.0
#pragma once

// Registration tokens whose signature was found good a moment ago. One token brings in a whole
// fleet, and its signature is as good for the last machine as for the first: it is verified once.
// Whether the token may still be used is asked each time, here and in the store. From any thread.

#include <deque>
#include <mutex>
#include <set>
#include <string>

#include "pki/token.h"

namespace cvlan::api {

class VerifiedTokens {
public:
    // As pki::verify_token; `text` is what `token` was read from. Adds to `checked` the signatures
    // that it took.
    Result<void> verify(const std::string& text, const pki::UnverifiedToken& token,
                        const pki::VerifyKey& key, WallTime now, size_t& checked);

    static constexpr size_t kMost = 1024;

private:
    bool is_known(const Bytes& hash);
    void remember(Bytes hash);

    std::mutex mutex_;
    std::set<Bytes> known_;  // hashes of text and key: a token is a secret
    std::deque<Bytes> in_order_;
};

}  // namespace cvlan::api
