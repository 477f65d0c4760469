// SPDX-License-Identifier: Apache-2.0
#include "daemons/sim/identity.h"

#include <openssl/crypto.h>

#include "base/file.h"
#include "base/version.h"
#include "pki/csr.h"
#include "pki/token.h"

namespace cvlan::sim {

namespace {
constexpr size_t kLargestState = size_t{1} << 30;
constexpr int kListenPort = 51820;
}  // namespace

Result<Token> Token::read(const std::string& path) {
    auto text = read_file(path, pki::kMaxTokenBytes);
    if (!text) return failed(text.error());
    while (text->ends_with('\n')) text->pop_back();
    auto parsed = pki::parse_token(*text);
    if (!parsed) return failed(parsed.error().while_doing(path));
    Token token;
    token.text = *text;
    token.claims = parsed->claims;
    auto tls = http::client_tls({{.ca_spki_sha256 = token.claims.ca_spki}});
    if (!tls) return failed(tls.error().while_doing(path));
    token.tls = std::move(*tls);
    return token;
}

Result<Application> Application::make(const Token& token, const std::string& name) {
    auto key = pki::TlsKey::generate();
    if (!key) return failed(key.error());
    const Bytes wireguard_key = random_bytes(32);
    auto csr = pki::create_csr(*key, pki::enrolment_binding(token.claims, wireguard_key));
    if (!csr) return failed(csr.error());
    model::wire::EnrolRequest request;
    request.token = token.text;
    request.csr = *csr;
    request.wireguard_public_key = base64(wireguard_key);
    request.name = name;
    request.listen_port = kListenPort;
    request.inventory.emplace().hostname = name;
    request.protocol_version = kProtocolVersion;
    request.capabilities = {"map-delta"};
    auto pem = key->to_pem();
    if (!pem) return failed(pem.error());
    return Application{std::move(*pem), encode(request)};
}

Result<Identity> accept(const Token& token, const Application& application,
                        const model::wire::Enrolment& answer) {
    if (answer.session.empty()) return fail(Code::Malformed, "enrolment: no session URL");
    if (!answer.membership) return fail(Code::Malformed, "enrolment: no membership");
    Identity identity;
    identity.phase = model::state::Phase::Enrolled;
    identity.tenant_id = answer.tenant_id;
    identity.node_id = answer.node_id;
    identity.name = answer.name;
    identity.trust_domain = answer.trust_domain;
    identity.tls_key = application.tls_key.reveal();
    identity.certificate = answer.certificate;
    identity.ca_spki = token.claims.ca_spki;
    identity.registration = answer.registration;
    identity.session = answer.session;
    identity.trust_bundle = answer.trust_bundle;
    identity.networks.push_back({answer.membership->network_id, "", kListenPort, true});
    return identity;
}

Result<std::vector<Identity>> load_identities(const std::string& path) {
    auto text = read_secret_file(path, kLargestState);
    if (!text) return failed(text.error());
    std::vector<Identity> all;
    for (size_t begin = 0; begin < text->size();) {
        const size_t end = std::min(text->find('\n', begin), text->size());
        auto read = model::decode<Identity>(std::string_view(*text).substr(begin, end - begin),
                                            model::kDocument);
        if (!read) return failed(read.error().while_doing(path));
        const bool is_whole =
            read->node_id && read->certificate && !read->session.empty() && !read->networks.empty();
        if (!is_whole) return fail(Code::Malformed, "{}: an identity lacks its parts", path);
        all.push_back(std::move(*read));
        begin = end + 1;
    }
    OPENSSL_cleanse(text->data(), text->size());
    return all;
}

Result<void> save_identities(const std::string& path, const std::vector<const Identity*>& all) {
    std::string text;
    for (const Identity* identity : all) text += encode(*identity) + "\n";
    auto written = write_durable(path, text, 0600);
    OPENSSL_cleanse(text.data(), text.size());
    return written;
}

}  // namespace cvlan::sim
