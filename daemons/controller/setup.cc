// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/setup.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "pki/authority.h"

namespace cvlan::controller {

namespace {

constexpr int kInstallationFormat = 1;

std::string key_path(const ControllerConfig& config) {
    return config.state_dir + "/controller.key";
}
std::string installation_path(const ControllerConfig& config) {
    return config.state_dir + "/controller.name";
}

// A host name (labels of RFC 1123) or an address.
Result<std::string> checked_server_name(const std::string& given) {
    std::string name = given;
    if (name.empty()) {
        char host[256] = "";
        if (gethostname(host, sizeof host - 1) != 0) return failed(errno_error("gethostname"));
        name = host;
    }
    if (Address::parse(name)) return name;
    const bool dotted_well = !name.empty() && name.size() <= 253 && name.back() != '.';
    for (size_t start = 0; dotted_well && start <= name.size();) {
        const size_t dot = std::min(name.find('.', start), name.size());
        auto label = model::check_name("server name", name.substr(start, dot - start));
        if (!label) return failed(label.error());
        start = dot + 1;
    }
    if (!dotted_well)
        return fail(Code::Invalid, "server name '{}' is no host name or address", name);
    return name;
}

Result<bool> make_controller_key(const ControllerConfig& config, bool was_set_up) {
    auto present = read_secret_file(key_path(config), 4096);
    if (present) return false;
    // A key that is there and can not be read is not replaced: who restores it has it again.
    if (present.error().code != Code::NotFound) return failed(present.error());
    if (was_set_up) return fail(Code::NotFound, "{} is missing: restore it", key_path(config));
    auto pem = pki::SigningKey::generate().to_pem();
    if (!pem) return failed(pem.error());
    auto written = write_durable(key_path(config), pem->reveal(), 0600);
    if (!written) return failed(written.error());
    return true;
}

Result<void> check_database(const ControllerConfig& config, const Clock& clock, bool has_ca) {
    auto database = open_store(config, clock, has_ca ? store::Create::No : store::Create::Yes);
    if (database) return {};
    if (!config.database.url.empty()) return failed(database.error());
    // A controller that runs holds the database: then it is there.
    struct stat status {};
    const bool is_held = database.error().code == Code::Unavailable &&
                         stat(database_path(config).c_str(), &status) == 0;
    if (!is_held) return failed(database.error());
    return {};
}

}  // namespace

std::string pki_folder(const ControllerConfig& config) { return config.state_dir + "/pki"; }
std::string keys_folder(const ControllerConfig& config) { return config.state_dir + "/keys"; }
std::string database_path(const ControllerConfig& config) {
    return config.state_dir + "/controller.db";
}

Result<std::unique_ptr<store::Store>> open_store(const ControllerConfig& config, const Clock& clock,
                                                 store::Create create, store::Post post) {
    if (config.database.url.empty())
        return store::open_sqlite(database_path(config), clock, create);
    return store::open_postgres(config.database, clock, create, std::move(post));
}

Result<bool> set_up(const ControllerConfig& config, const std::string& server_name,
                    const Clock& clock) {
    auto name = checked_server_name(server_name.empty() ? config.server_name : server_name);
    if (!name) return failed(name.error());
    for (const std::string& folder : {config.state_dir, keys_folder(config), pki_folder(config)})
        if (auto made = make_directories(folder, 0700); !made) return failed(made.error());

    // The name is written last, so that a setup which was cut off goes on from where it was. Once
    // it stands there, what is missing was lost.
    auto kept_name = load_state(installation_path(config), kInstallationFormat);
    const bool was_set_up = kept_name || kept_name.error().code != Code::NotFound;
    if (was_set_up && !kept_name) return failed(kept_name.error());
    // The database is made before the CA: where that one is there, the database was there too.
    const bool has_ca = pki::Authority::is_present(pki_folder(config));
    if (was_set_up && !has_ca)
        return fail(Code::NotFound, "the certificate authority in {} is missing: restore it",
                    pki_folder(config));
    if (auto good = check_database(config, clock, has_ca); !good) return failed(good.error());
    // The trust domain is an identity, not an address: it outlives a change of the server's name.
    const std::string id = new_uuid(unix_ms(clock.now()));
    const std::string trust_domain = id.substr(id.size() - 12) + ".cvlan.internal";
    auto made_ca = pki::Authority::create(pki_folder(config), trust_domain, clock.now());
    if (!made_ca) return failed(made_ca.error().while_doing("certificate authority"));
    auto made_key = make_controller_key(config, was_set_up);
    if (!made_key) return failed(made_key.error());
    if (!was_set_up)
        if (auto saved = save_state(installation_path(config), kInstallationFormat, *name); !saved)
            return failed(saved.error());
    return *made_ca || *made_key || !was_set_up;
}

Result<Installation> load_installation(const ControllerConfig& config) {
    auto name = load_state(installation_path(config), kInstallationFormat);
    if (!name) return failed(name.error());
    auto pem = read_secret_file(key_path(config), 4096);
    if (!pem) return failed(pem.error());
    auto key = pki::SigningKey::from_pem(SecretText(std::move(*pem)));
    if (!key) return failed(key.error().while_doing(key_path(config)));
    auto server_name =
        checked_server_name(config.server_name.empty() ? name->content : config.server_name);
    if (!server_name) return failed(server_name.error());
    return Installation{*server_name, std::move(*key)};
}

}  // namespace cvlan::controller
