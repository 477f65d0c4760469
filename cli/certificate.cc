// SPDX-License-Identifier: Apache-2.0
// A client certificate in place of an access token. Its key is made here and never sent.
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "pki/csr.h"
#include "pki/keys.h"

namespace cvlan::cli {

namespace wire = model::wire;
using client::AccountNoun;

namespace {

// The account of --service-account in the tenant, or above tenants; none: one's own.
Result<std::optional<std::string>> account_id_of(const Args& args, Session& session) {
    if (args.service_account.empty()) return std::optional<std::string>();
    auto account = session.controller.find_account(AccountNoun::Service, session.tenant_id,
                                                   args.service_account);
    if (!account) return failed(account.error());
    return std::optional(account->id);
}

Result<wire::CertificateCreated> ask_for(const Args& args, Session& session,
                                         const pki::TlsKey& key) {
    auto csr = pki::create_csr(key);
    if (!csr) return failed(csr.error());
    auto account_id = account_id_of(args, session);
    if (!account_id) return failed(account_id.error());
    wire::CertificateCreate wanted;
    wanted.name = args.name;
    wanted.csr = std::move(*csr);
    wanted.expires_in = fmt::format("{}s", args.expires.count());
    wanted.service_account_id = *account_id;
    return session.controller.create_certificate(wanted);
}

// The key's file first, so that no certificate is issued whose key can not be kept; where anything
// fails after that, it goes again.
Result<wire::CertificateCreated> make_files(const Args& args, Session& session) {
    auto key = pki::TlsKey::generate();
    if (!key) return failed(key.error());
    auto pem = key->to_pem();
    if (!pem) return failed(pem.error());
    if (auto kept = create_durable(args.key_file, pem->reveal(), 0600); !kept)
        return failed(kept.error());
    auto made = ask_for(args, session, *key);
    if (made) {
        auto kept = create_durable(args.out_file, made->certificate, 0644);
        if (kept) return made;
        (void)session.controller.delete_access_token(made->record.id);
        made = failed(kept.error());
    }
    (void)unlink(args.key_file.c_str());
    return made;
}

}  // namespace

void certificate_create_options(CLI::App& app, Args& args) {
    access_token_create_options(app, args);
    app.add_option("--out", args.out_file, "a new file for the certificate and its chain")
        ->required();
    app.add_option("--key-out", args.key_file, "a new file for its private key")->required();
}

int certificate_create(const Args& args, Io& io) {
    const bool in_tenant = !args.service_account.empty() && !args.above_tenants;
    auto session = in_tenant ? connect_to_tenant(args) : connect(args);
    if (!session) return fail(io, session.error());
    auto made = make_files(args, *session);
    if (!made) return fail(io, made.error());
    if (print_document(args, io, encode(made->record))) return kOk;
    if (args.output == Output::Name)
        io.out << made->record.id << '\n';
    else
        io.err << "cvlanctl: " << printable(args.out_file) << " is good until "
               << time_text(made->record.expires_at) << " with the key in "
               << printable(args.key_file) << '\n';
    return kOk;
}

}  // namespace cvlan::cli
