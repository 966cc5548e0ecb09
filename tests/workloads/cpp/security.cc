#include "security.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace {

std::string read(const Options& options, const std::string& name) {
    const std::string path = options.at("tls") + "/" + name;
    std::ifstream file(path);
    std::ostringstream text;
    if (!(text << file.rdbuf())) {
        throw std::runtime_error("cannot read " + path);
    }
    return text.str();
}

}  // namespace

std::shared_ptr<grpc::ServerCredentials> server_credentials(const Options& options) {
    if (options.count("tls") == 0) {
        return grpc::InsecureServerCredentials();
    }
    grpc::SslServerCredentialsOptions chosen;
    chosen.pem_key_cert_pairs.push_back({read(options, "server.key"), read(options, "server.pem")});
    return grpc::SslServerCredentials(chosen);
}

std::shared_ptr<grpc::ChannelCredentials> client_credentials(const Options& options) {
    if (options.count("tls") == 0) {
        return grpc::InsecureChannelCredentials();
    }
    grpc::SslCredentialsOptions chosen;
    chosen.pem_root_certs = read(options, "ca.pem");
    return grpc::SslCredentials(chosen);
}
