// SPDX-License-Identifier: Apache-2.0
// A node's certificates: the current one, and the one before it until the node has used the
// current.
#include "store/sql_rows.h"
#include "store/sql_store.h"

namespace cvlan::store {

Result<model::Node> SqlStore::renew_certificate(const Key& key, const Renewal& renewal) {
    return write([&]() -> Result<model::Node> {
        auto node = find_node(key.tenant_id, key.id);
        if (!node) return node;
        const bool by_current = renewal.used_serial == node->certificate_serial;
        const bool by_previous =
            !renewal.used_serial.empty() && renewal.used_serial == node->previous_serial;
        const bool is_in =
            node->state == model::NodeState::Active || node->state == model::NodeState::Pending;
        if (!is_in || (!by_current && !by_previous))
            return fail(Code::Denied, "the certificate is not valid any more");
        auto barred = is_barred(db_, BarredKind::Tls, renewal.tls_key_hash);
        if (!barred) return failed(barred.error());
        auto owner = node_of_tls_key(db_, key.tenant_id, renewal.tls_key_hash);
        if (!owner) return failed(owner.error());
        if (*barred || (*owner && (*owner)->id != key.id))
            return fail(Code::Denied, "the key can not be used");

        // A node whose renewal's answer was lost comes with the certificate before: that one goes
        // on being good, and the one it never got is void. Its key is the fresh one still.
        const std::string& used_hash =
            by_current ? node->tls_key_hash : node->previous_tls_key_hash;
        const bool is_pending = by_previous && renewal.tls_key_hash == node->tls_key_hash &&
                                node->tls_key_hash != node->previous_tls_key_hash;
        if (*owner && !is_pending)
            return failed(Error{Code::Invalid, "csr: a renewal needs a fresh key", 0, "/csr", {}});
        auto done =
            db_.sql(
                   "UPDATE nodes SET previous_serial = ?, previous_tls_key_hash = ?, "
                   "certificate_serial = ?, tls_key_hash = ?, certificate_expires_at = ? "
                   "WHERE tenant_id = ? AND id = ?",
                   renewal.used_serial, used_hash, renewal.certificate.serial, renewal.tls_key_hash,
                   renewal.certificate.expires_at, key.tenant_id, key.id)
                .run();
        if (!done) return failed(done.error());
        return change_certificate(key, public_text(*node));
    });
}

Result<void> SqlStore::confirm_certificate(const Key& key, const std::string& serial) {
    return write([&]() -> Result<void> {
        auto done = db_.sql(
                           "UPDATE nodes SET previous_serial = '', previous_tls_key_hash = '' "
                           "WHERE tenant_id = ? AND id = ? AND certificate_serial = ? AND "
                           "previous_serial <> ''",
                           key.tenant_id, key.id, serial)
                        .run();
        if (!done || db_.changes() == 0) return done;
        if (auto changed = change_certificate(key, {}); !changed) return failed(changed.error());
        return {};
    });
}

// No network is touched: certificates stand in no map.
Result<model::Node> SqlStore::change_certificate(const Key& key, std::string before) {
    auto revision = record(key, EventKind::CertificateRenewed, {}, std::move(before));
    if (!revision) return failed(revision.error());
    auto marked = db_.sql("UPDATE nodes SET revision = ? WHERE tenant_id = ? AND id = ?", *revision,
                          key.tenant_id, key.id)
                      .run();
    if (!marked) return failed(marked.error());
    return audited(find_node(key.tenant_id, key.id));
}

}  // namespace cvlan::store
