// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>
#include <openssl/crypto.h>

#include "store/sql_pages.h"
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

namespace {

constexpr const char* kSelect =
    "SELECT tenant_id, id, network_id, role, nonce_hash, uses_total, uses_left, created_at, "
    "expires_at, revoked, revision, tags, ephemeral_ms, owner, token_key_id FROM tokens";

model::Token token_row(const Statement& row) {
    model::Token token;
    token.tenant_id = row.text(0);
    token.id = row.text(1);
    token.network_id = row.text(2);
    token.role = static_cast<model::TokenRole>(row.integer(3));
    token.nonce_hash = row.text(4);
    token.uses_total = row.integer(5);
    token.uses_left = row.integer(6);
    token.created_at = row.time(7);
    token.expires_at = row.time(8);
    token.revoked = row.integer(9) != 0;
    token.revision = row.integer(10);
    token.tags = split_words(row.text(11));
    if (!row.is_null(12)) token.ephemeral_after = std::chrono::milliseconds(row.integer(12));
    token.owner = row.text(13);
    token.token_key_id = row.text(14);
    return token;
}

// As model::state_of, with one parameter: the time.
const char* condition_of(model::TokenState state) {
    switch (state) {
        case model::TokenState::Revoked:
            return "revoked = 1 AND created_at <= ?";
        case model::TokenState::Expired:
            return "revoked = 0 AND expires_at <= ?";
        case model::TokenState::Spent:
            return "revoked = 0 AND uses_left = 0 AND expires_at > ?";
        case model::TokenState::Usable:
            return "revoked = 0 AND uses_left > 0 AND expires_at > ?";
    }
    return "revoked = 0 AND expires_at > ?";
}

bool same_hash(const std::string& one, const std::string& other) {
    return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

}  // namespace

Result<model::Token> SqlStore::find_token(const Scope& scope, const std::string& id) {
    Statement row =
        db_.sql(fmt::format("{} WHERE id = ?{}", kSelect, scope ? " AND tenant_id = ?" : ""), id);
    if (scope) row.bind(*scope);
    if (row.next()) return token_row(row);
    if (row.error()) return failed(*row.error());
    return fail(Code::NotFound, "token {}: not found", printable(id));
}

Result<model::Token> SqlStore::create_token(
    const model::TokenClaims& claims,
    const std::optional<std::chrono::milliseconds>& ephemeral_after) {
    if (claims.uses < 1) return fail(Code::Invalid, "uses: must be at least 1");
    const auto ephemeral_ms =
        ephemeral_after ? std::optional<int64_t>(ephemeral_after->count()) : std::nullopt;
    return write([&]() -> Result<model::Token> {
        if (claims.expires_at <= clock_.now())
            return fail(Code::Invalid, "the expiry is in the past");
        if (claims.role != model::TokenRole::Relay)
            if (auto network = find_network(claims.tenant_id, claims.network_id); !network)
                return failed(network.error());
        if (auto good = check_tags(db_, claims.tenant_id, claims.tags); !good)
            return failed(good.error());
        auto revision = record({claims.tenant_id, claims.id}, EventKind::TokenCreated, {});
        if (!revision) return failed(revision.error());
        auto made = db_.sql(
                           "INSERT INTO tokens (tenant_id, id, network_id, role, nonce_hash, "
                           "uses_total, uses_left, created_at, expires_at, revision, tags, "
                           "ephemeral_ms, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                           claims.tenant_id, claims.id, network_of(claims), claims.role,
                           model::nonce_hash(claims), claims.uses, claims.uses, clock_.now(),
                           claims.expires_at, *revision,
                           fmt::format("{}", fmt::join(claims.tags, " ")), ephemeral_ms, owner())
                        .run();
        if (!made) return failed(made.error());
        if (auto fits = check_quota(claims.tenant_id, Quota::Tokens); !fits)
            return failed(fits.error());
        return audited(find_token(claims.tenant_id, claims.id));
    });
}

Result<Page<model::Token>> SqlStore::tokens(const Filter& filter) {
    if (auto good = check_page(filter); !good) return failed(good.error());
    return read([&] {
        const char* in_state = filter.token_state ? condition_of(*filter.token_state) : "";
        const auto now = filter.token_state ? std::optional(unix_ms(clock_.now())) : std::nullopt;
        Statement rows = ListQuery(kSelect, filter, "id")
                             .where("tenant_id = ?", filter.tenant)
                             .where("network_id = ?", filter.network_id)
                             .where("role = ?", filter.role)
                             .where("owner = ?", filter.owner)
                             .where(in_state, now)
                             .run(db_);
        return read_page<model::Token>(rows, filter, token_row);
    });
}

Result<model::Token> SqlStore::token(const Scope& scope, const std::string& id) {
    return read([&] { return find_token(scope, id); });
}

Result<model::Token> SqlStore::revoke_token(const Key& key) {
    return write([&]() -> Result<model::Token> {
        auto token = find_token(key.tenant_id, key.id);
        if (!token || token->revoked) return token;
        if (auto match = check_match(cause_, token->revision); !match) return failed(match.error());
        auto revision = record(key, EventKind::TokenRevoked, {}, public_text(*token));
        if (!revision) return failed(revision.error());
        auto done = db_.sql(
                           "UPDATE tokens SET revoked = 1, revision = ? WHERE tenant_id = ? AND id "
                           "= ?",
                           *revision, key.tenant_id, key.id)
                        .run();
        if (!done) return failed(done.error());
        return audited(find_token(key.tenant_id, key.id));
    });
}

Result<Revision> SqlStore::delete_token(const Key& key) {
    return write([&]() -> Result<Revision> {
        auto token = find_token(key.tenant_id, key.id);
        if (!token) return failed(token.error());
        if (auto match = check_match(cause_, token->revision); !match) return failed(match.error());
        // What was made offline would count as new again.
        if (!token->token_key_id.empty() && clock_.now() < token->expires_at)
            return fail(Code::Conflict,
                        "token {} was made offline: its record stays until it has expired; revoke "
                        "it instead",
                        token->id);
        auto revision = record(key, EventKind::TokenDeleted, {}, public_text(*token));
        if (!revision) return revision;
        auto done =
            db_.sql("DELETE FROM tokens WHERE tenant_id = ? AND id = ?", key.tenant_id, key.id)
                .run();
        if (!done) return failed(done.error());
        return revision;
    });
}

// Whether the token may be used at all, but for its uses and its tenant.
Result<model::Token> SqlStore::check_token(const Joining& joining) {
    const model::TokenClaims& claims = joining.token;
    auto token = find_token(claims.tenant_id, claims.id);
    if (!token && token.error().code == Code::NotFound) token = admit_offline(claims);
    if (!token) return failed(token.error());
    if (!same_hash(token->nonce_hash, model::nonce_hash(claims)) ||
        token->network_id != network_of(claims).value_or(""))
        return fail_as(model::kTokenInvalid, Code::Denied, "token is unknown here");
    if (token->revoked) return fail_as(model::kTokenRevoked, Code::Gone, "token was revoked");
    if (clock_.now() >= token->expires_at)
        return fail_as(model::kTokenExpired, Code::Gone, "token has expired");
    return token;
}

Result<void> SqlStore::check_uses(const model::Token& token) {
    if (token.uses_left < 1) return fail_as(model::kTokenSpent, Code::Gone, "token is spent");
    return {};
}

// After check_uses of what was read in this transaction, beside which nobody writes. Below zero the
// table's CHECK has it fail.
Result<void> SqlStore::spend_token(const model::Token& token) {
    return db_
        .sql("UPDATE tokens SET uses_left = uses_left - 1 WHERE tenant_id = ? AND id = ?",
             token.tenant_id, token.id)
        .run();
}

}  // namespace cvlan::store
