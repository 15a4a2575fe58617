class HTTPBasic:
    pass


class HTTPBasicCredentials:
    username = password = ""
