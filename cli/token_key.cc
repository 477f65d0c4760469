// SPDX-License-Identifier: Apache-2.0
// Keys that make registration tokens offline, and the tokens that they make.
#include "base/bytes.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "model/state.h"
#include "pki/keys.h"
#include "pki/token.h"

namespace cvlan::cli {

namespace wire = model::wire;
using model::state::TokenKeyFile;

namespace {

constexpr size_t kMaxFile = 8192;

Row row_of(const wire::TokenKey& key) {
    return {key.name, key.kid, time_text(key.created_at), key.id};
}

Result<wire::TokenKey> find_key(const Args& args, Session& session) {
    return session.controller.find_token_key(session.tenant_id, args.name);
}

// A key whose private half can not be kept is of no use to anybody: it is taken back.
Result<wire::TokenKeyCreated> make_key(const Args& args, Session& session) {
    const auto key = pki::SigningKey::generate();
    auto pem = key.to_pem();
    if (!pem) return failed(pem.error());
    auto made = session.controller.create_token_key(
        {session.tenant_id, args.name, key.public_key().to_base64()});
    if (!made) return made;
    const SecretText file(
        encode(TokenKeyFile{session.tenant_id, made->url, made->ca_spki, pem->reveal()}));
    auto kept = create_durable(args.out_file, file.reveal(), 0600);
    if (kept) return made;
    (void)session.controller.delete_token_key(session.tenant_id, made->token_key.id);
    return failed(kept.error());
}

Result<TokenKeyFile> read_key(const std::string& path) {
    auto text = read_secret_file(path, kMaxFile);
    if (!text) return failed(text.error());
    auto file = model::decode<TokenKeyFile>(*text, model::kDocument);
    OPENSSL_cleanse(text->data(), text->size());
    if (!file) return failed(file.error().while_doing(path));
    return file;
}

Result<SecretText> make_token(const Args& args, const Clock& clock) {
    auto file = read_key(args.signing_key);
    if (!file) return failed(file.error());
    const SecretText pem(std::move(file->private_key));
    auto key = pki::SigningKey::from_pem(pem);
    if (!key) return failed(key.error().while_doing(args.signing_key));
    if (!args.network.empty() && !is_uuid(args.network))
        return cvlan::fail(Code::Invalid,
                           "--network: must be the network's id: its name is not known offline");
    const WallTime now = clock.now();
    model::TokenClaims claims;
    claims.id = new_uuid(unix_ms(now));
    claims.tenant_id = file->tenant_id;
    claims.role = static_cast<model::TokenRole>(args.role);
    if (claims.role != model::TokenRole::Relay) claims.network_id = args.network;
    claims.expires_at = std::chrono::floor<std::chrono::seconds>(now) + args.expires;
    claims.uses = args.uses;
    claims.nonce = random_bytes(32);
    claims.url = file->url;
    claims.ca_spki = file->ca_spki;
    return pki::make_token(std::move(claims), *key);
}

}  // namespace

void token_key_create_options(CLI::App& app, Args& args) {
    app.add_option("NAME", args.name, "its name")->required();
    app.add_option("--out", args.out_file, "the file for the private key; must not exist")
        ->required();
}

void token_make_options(CLI::App& app, Args& args) {
    app.add_option("--signing-key", args.signing_key, "the file that token-key create made")
        ->required();
    token_create_options(app, args);
}

int token_key_create(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto made = make_key(args, *session);
    if (!made) return fail(io, made.error());
    return print_created(args, io, made->token_key, row_of(made->token_key));
}

int token_key_list(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto asked = listing_of(args, "token-key", *session);
    if (!asked) return fail(io, asked.error());
    auto list = session->controller.list_token_keys(*asked);
    if (!list) return fail(io, list.error());
    std::vector<Row> rows;
    for (const wire::TokenKey& key : list->token_keys) rows.push_back(row_of(key));
    return print_list(args, io, *list, {"NAME", "KID", "CREATED", "ID"}, rows);
}

int token_key_show(const Args& args, Io& io) {
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto key = find_key(args, *session);
    if (!key) return fail(io, key.error());
    return print_object(args, io, *key,
                        {{"Name", key->name},
                         {"Id", key->id},
                         {"Tenant", key->tenant_id},
                         {"Kid", key->kid},
                         {"Public key", key->public_key},
                         {"Created", time_text(key->created_at)}});
}

// Asks nobody: the machine may have no network at all.
int token_make(const Args& args, Io& io) {
    if (!says_network(args, io)) return kUsage;
    auto token = make_token(args, io.clock);
    if (!token) return fail(io, token.error());
    io.out << token->reveal() << '\n';
    return kOk;
}

}  // namespace cvlan::cli
