class BooksController < ActionController::API
  def index
    render json: Book.order(:title)
  end
end
