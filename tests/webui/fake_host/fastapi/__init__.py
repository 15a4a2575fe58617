"""Only where FastAPI is not installed."""


class HTTPException(Exception):
    def __init__(self, status_code, detail=None, headers=None):
        super().__init__(status_code, detail)
        self.status_code, self.detail, self.headers = status_code, detail, headers


class FastAPI:
    def __init__(self):
        self.routes = {}

    def get(self, path, dependencies=()):
        return lambda function: self.routes.setdefault(path, function)


def Depends(dependency=None):
    return dependency
