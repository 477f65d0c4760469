// SPDX-License-Identifier: Apache-2.0
#pragma once

// Forms of rows that several files of the SQL store read and write, and what is alike in their
// verbs. What takes a Database runs inside a body of read or write.

#include <string>
#include <vector>

#include "base/result.h"
#include "model/objects.h"
#include "store/database.h"
#include "store/types.h"

namespace cvlan::store {

inline constexpr const char* kMembershipColumns =
    "m.network_id, m.node_id, m.wireguard_key, m.ipv4, m.ipv6, m.listen_port, m.endpoints, "
    "m.revision, m.relay_id, m.ipsec, m.gateway, m.routes";
model::Membership membership_row(const Statement& row, int first_column);

std::string endpoints_text(const std::vector<Endpoint>& endpoints);
std::vector<std::string> split_words(const std::string& text);
// An INSERT of many rows, the more of them at once the cheaper. Few different texts, so that they
// stay prepared. bind(statement, i) binds the columns of row i, none of them NULL.
class RowInsert {
public:
    // "INSERT INTO t (a, b)", 2.
    RowInsert(std::string_view into, size_t columns);

    template <class Bind>
    Result<void> run(Database& db, size_t count, const Bind& bind) const {
        for (size_t at = 0; at < count;) {
            const auto [rows, text] = slice(db.dialect(), count - at);
            Statement insert = db.rows(text, columns_);
            for (const size_t end = at + rows; at < end; ++at) bind(insert, at);
            if (auto done = insert.run(); !done) return done;
        }
        return {};
    }

private:
    struct Slice {
        size_t rows;
        std::string_view text;
    };
    // The next statement, where so many rows are left.
    Slice slice(Dialect dialect, size_t left) const;

    size_t columns_;
    std::string arrays_;                                 // of any number of rows
    std::vector<std::pair<size_t, std::string>> lists_;  // the most rows first
};

std::string wireguard_key_hash(const std::string& key);

// Keys of revoked nodes, by their hash.
enum class BarredKind { Tls = 1, Wireguard = 2 };
Result<bool> is_barred(Database& db, BarredKind kind, std::string_view hash);
// By its current key or the one before.
Result<std::optional<Key>> node_of_tls_key(Database& db, const std::string& tenant_id,
                                           const std::string& tls_key_hash);

// As a token's row has it: a relay is in none, whatever its token says.
std::optional<std::string> network_of(const model::TokenClaims& claims);
// At most 1024 bytes of UTF-8.
Result<void> check_description(const std::string& text);
// Conflict QUOTA_EXCEEDED where `held` counts more than that. After the insert, as check_quota.
Result<void> check_room(Statement& held, int64_t most, std::string_view nouns);
// Conflict REVISION_MISMATCH, where the cause expects another revision.
Result<void> check_match(const Cause& cause, Revision revision);
// The defaults, where there is no row.
Result<model::Settings> find_settings(Database& db, const std::string& tenant_id);
// Relays are told not to forward for the node, until the last grant that it may have has run out.
// After record(), and while the node's row is there.
Result<void> bar_at_relays(Database& db, const Key& node, WallTime now);
// When a node that enrols now must enrol again.
std::optional<WallTime> key_end(const model::Settings& settings, WallTime now);
// Invalid for a tag that the tenant has not. put_tags replaces those of the node.
Result<void> check_tags(Database& db, const std::string& tenant_id,
                        const std::vector<std::string>& names);
Result<void> put_tags(Database& db, const Key& node, const std::vector<std::string>& names);
// A network's own, in the order of their names. put_ipsec_tags replaces them.
Result<void> load_ipsec_tags(Database& db, model::Network& network);
Result<void> put_ipsec_tags(Database& db, const Key& network,
                            const std::vector<std::string>& names);
// After either: of these memberships those that begin or end to ask for IPsec by it are changed by
// `revision`.
enum class MembershipsOf { Network, Node };
Result<void> settle_ipsec(Database& db, MembershipsOf kind, const Key& of, Revision revision);
// After a change of vrouters, or of where the node is in: what its memberships say of that.
Result<void> settle_gateway(Database& db, const Key& node);
// No object points to the target any more; those that did are changed by that. After record().
Result<void> drop_links_to(Database& db, const Key& target);
// The network goes: what it has carried stays its tenant's.
Result<void> keep_traffic(Database& db, const Key& network);

}  // namespace cvlan::store
