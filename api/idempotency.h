// SPDX-License-Identifier: Apache-2.0
#pragma once

// POSTs of administration that carry an Idempotency-Key take effect once: who repeats one within a
// day, also after a restart of the controller, gets the answer of the first time. What changed
// nothing is not remembered. The key seals the answer, which may hold a secret that is shown once.

#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "http/message.h"
#include "store/store.h"

namespace cvlan::api {

class Idempotency {
public:
    // Of a request without the header, or that is no POST: nothing is done differently. Invalid: a
    // key that is none.
    static Result<Idempotency> of(const http::Request& request, const std::string& actor);

    // For the store that does what is asked.
    const std::optional<store::IdempotencyKey>& key() const { return key_; }
    // What a repeat is answered; nullopt for what is to be done now. 422 where the key was sent
    // with something else, 409 while, or where for good, the first answer is not known.
    std::optional<http::Response> earlier(store::Store& store, const http::Request& request) const;
    // `store` is that of who asks.
    void keep(store::Store& store, const http::Response& response) const;

private:
    std::optional<store::IdempotencyKey> key_;
    Bytes seal_key_;
};

}  // namespace cvlan::api
