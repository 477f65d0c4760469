// SPDX-License-Identifier: Apache-2.0
// node create --external: a stock WireGuard client becomes a node. Its key pair is made here; the
// private key goes to a file of its owner, or into the QR code, and nowhere else.
#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/secret.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/qr.h"
#include "cli/wireguard_file.h"

namespace cvlan::cli {

namespace wire = model::wire;

namespace {

struct KeyPair {
    SecretText private_key;  // base64, as wg(8) has it
    std::string public_key;
};

Result<KeyPair> make_pair() {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
        EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"), EVP_PKEY_free);
    Secret<32> secret;
    std::array<uint8_t, 32> open{};
    size_t secret_size = secret.bytes().size(), open_size = open.size();
    if (!key ||
        EVP_PKEY_get_raw_private_key(key.get(), secret.writable().data(), &secret_size) != 1 ||
        EVP_PKEY_get_raw_public_key(key.get(), open.data(), &open_size) != 1)
        return cvlan::fail(Code::Internal, "a key pair can not be made");
    return KeyPair{SecretText(base64(secret.bytes())), base64(open)};
}

// The controller's file with the private key where wg-quick(8) looks for it.
Result<SecretText> with_key(const std::string& config, const SecretText& private_key) {
    const auto at = check_wireguard_file(config);
    if (!at) return failed(at.error());
    if (private_key.reveal().empty()) return SecretText(config);
    std::string text;
    text.reserve(config.size() + 64);  // no copy of the key is left behind by growing
    text.append(config, 0, *at);
    text.append("PrivateKey = ").append(private_key.reveal()).append("\n");
    text.append(config, *at);
    return SecretText(std::move(text));
}

Result<wire::Node> make_node(const Args& args, Session& session, const std::string& public_key) {
    auto network = session.controller.find_network(session.tenant_id, args.network);
    if (!network) return failed(network.error());
    wire::ExternalNodeCreate wanted;
    wanted.tenant_id = session.tenant_id;
    wanted.name = args.name;
    wanted.network_id = network->id;
    wanted.wireguard_public_key = public_key;
    wanted.tags = args.tags;
    return session.controller.create_external_node(wanted);
}

Result<SecretText> read_config(Session& session, const wire::Node& node,
                               const SecretText& private_key) {
    auto config = session.controller.wireguard_config(session.tenant_id, node.id);
    if (!config) return failed(config.error());
    return with_key(config->config, private_key);
}

// A client whose private key can not be kept is of no use to anybody: the node is taken back.
Result<void> keep(const std::string& path, const SecretText& config, Session& session,
                  const wire::Node& node) {
    auto kept = create_durable(path, config.reveal(), 0600);
    if (kept) return {};
    (void)session.controller.delete_node(session.tenant_id, node.id);
    return failed(kept.error());
}

int print_made(const Args& args, Io& io, const wire::Node& node, const SecretText& config) {
    if (args.output == Output::Json || args.output == Output::Yaml) {
        print_document(args, io, encode(node));
    } else if (args.output == Output::Name) {
        io.out << printable(node.name) << '\n';
    } else if (args.out_file == "-") {
        io.out << config.reveal();
    } else {
        io.err << "cvlanctl: " << printable(node.name) << ": the file for wg-quick is "
               << printable(args.out_file) << '\n';
    }
    if (!args.with_qr) return kOk;
    auto code = qr_code(config);
    if (!code) return fail(io, code.error());
    io.out << code->reveal();
    return kOk;
}

}  // namespace

void node_create_options(CLI::App& app, Args& args) {
    object(app, args);
    app.add_flag("--external", args.is_external,
                 "a stock WireGuard client; other nodes come by 'cvlanctl up' and a token")
        ->required();
    app.add_option("--network", args.network, "its network, by id or name")->required();
    app.add_option("--tags", args.tags, "tags that it gets, with commas")->delimiter(',');
    app.add_option("--public-key", args.public_key,
                   "of a pair that was made elsewhere; the file then has no private key");
    app.add_option("--out", args.out_file,
                   "the file for wg-quick, a new one; NAME.conf unless said, - prints it");
    app.add_flag("--qr", args.with_qr, "print it as a QR code too, with its private key")
        ->excludes("--public-key");
}

int node_create(const Args& given, Io& io) {
    Args args = given;
    if (args.out_file.empty()) args.out_file = args.name + ".conf";
    if (args.out_file == "-" && args.output != Output::Table) {
        io.err << "cvlanctl: --out - prints the file, and -o another thing: choose one\n";
        return kUsage;
    }
    KeyPair pair;
    if (args.public_key.empty()) {
        auto made = make_pair();
        if (!made) return fail(io, made.error());
        pair = std::move(*made);
    } else {
        pair.public_key = args.public_key;
    }
    auto session = connect_to_tenant(args);
    if (!session) return fail(io, session.error());
    auto node = make_node(args, *session, pair.public_key);
    if (!node) return fail(io, node.error());
    auto config = read_config(*session, *node, pair.private_key);
    if (!config) {
        (void)session->controller.delete_node(session->tenant_id, node->id);
        return fail(io, config.error());
    }
    if (args.out_file != "-")
        if (auto kept = keep(args.out_file, *config, *session, *node); !kept)
            return fail(io, kept.error());
    return print_made(args, io, *node, *config);
}

}  // namespace cvlan::cli
