// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/pki_commands.h"

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "daemons/controller/setup.h"
#include "pki/authority.h"
#include "pki/imported.h"

namespace cvlan::controller {

namespace {

constexpr size_t kMaxChain = 65536;
constexpr const char* kOwn = "own";

std::string spki_text(const pki::Authority& authority) { return hex(authority.root_spki()); }

}  // namespace

PkiCommands::PkiCommands(CLI::App& app)
    : pki_(app.add_subcommand("pki", "The certificate authority: a company's own intermediate")) {
    pki_->require_subcommand(1)->fallthrough();
    pki_->add_subcommand("show", "What is in use and what nodes are told to trust")->fallthrough();
    pki_->add_subcommand("request-intermediate",
                         "Make a key and print the request that the company's CA is to sign")
        ->fallthrough();
    auto* import = pki_->add_subcommand("import-intermediate",
                                        "Take the signed chain; it is announced, not yet in use");
    import->fallthrough()
        ->add_option("FILE", chain_file_, "intermediate, issuers, root, in PEM")
        ->required();
    auto* use = pki_->add_subcommand("use-intermediate", "Sign with an imported intermediate");
    use->fallthrough()->add_option("NAME", name_, "as pki show prints it, or 'own'")->required();
}

bool PkiCommands::is_asked() const { return pki_->parsed(); }

Result<void> PkiCommands::show(const std::string& folder) const {
    auto authority = pki::Authority::open(folder);
    if (!authority) return failed(authority.error());
    auto in_use = pki::current(folder);
    if (!in_use) return failed(in_use.error());
    fmt::print("{:<16} {}\n", "trust domain", authority->trust_domain());
    fmt::print("{:<16} {}\n", "in use", in_use->empty() ? kOwn : *in_use);
    fmt::print("{:<16} {}\n", "root", spki_text(*authority));
    fmt::print("{:<16} {}\n", "root ends", rfc3339(authority->root_not_after()));
    fmt::print("{:<16} {}\n", "it ends", rfc3339(authority->intermediate_not_after()));
    fmt::print("{:<16} {}\n", "trusted roots", authority->trust_bundle().size());
    for (const std::string& name : pki::imported(folder))
        fmt::print("{:<16} {}\n", "imported", name);
    return {};
}

Result<void> PkiCommands::request(const std::string& folder) const {
    auto request = pki::request_intermediate(folder);
    if (!request) return failed(request.error());
    fmt::print("{}", *request);
    return {};
}

Result<void> PkiCommands::import(const ControllerConfig& config, WallTime now) const {
    auto installation = load_installation(config);
    if (!installation) return failed(installation.error());
    auto chain = read_file(chain_file_, kMaxChain);
    if (!chain) return failed(chain.error());
    auto name =
        pki::import_intermediate(pki_folder(config), *chain, installation->server_name, now);
    if (!name) return failed(name.error().while_doing(chain_file_));
    fmt::print("{}\n", *name);
    fmt::print(stderr,
               "cvlan-controller: {0} is announced to nodes once the controller is restarted, with "
               "their next certificate (20 days at most); then: pki use-intermediate {0}\n",
               *name);
    return {};
}

Result<void> PkiCommands::use(const std::string& folder, WallTime now) const {
    auto before = pki::Authority::open(folder);
    if (!before) return failed(before.error());
    auto used = pki::use_intermediate(folder, name_ == kOwn ? "" : name_);
    if (!used) return used;
    auto after = pki::Authority::open(folder);
    if (!after) return failed(after.error());
    if (after->intermediate_not_after() <= now)
        fmt::print(stderr, "cvlan-controller: it has run out: nothing can be signed\n");
    if (after->root_spki() != before->root_spki())
        fmt::print(
            stderr,
            "cvlan-controller: another root is in use once the controller is restarted: "
            "registration tokens made before it name the former one and must be made anew\n");
    return {};
}

int PkiCommands::run(const ControllerConfig& config, const Clock& clock) {
    const std::string folder = pki_folder(config);
    Result<void> done;
    if (pki_->got_subcommand("show"))
        done = show(folder);
    else if (pki_->got_subcommand("request-intermediate"))
        done = request(folder);
    else if (pki_->got_subcommand("import-intermediate"))
        done = import(config, clock.now());
    else
        done = use(folder, clock.now());
    if (done) return 0;
    fmt::print(stderr, "cvlan-controller: {}\n", done.error().message);
    return 1;
}

}  // namespace cvlan::controller
